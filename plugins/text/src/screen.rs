//! A terminal that nobody looks at: output goes in, lines come out as they leave the screen. Knows nothing of files.

use avt::parser::Function;
use avt::{Line, Observation, Observer, Operation, Parser, Terminal};
use tapedeck_kit::Utf8Joiner;
use tapedeck_sdk::kinds::terminal::Size;

/// The most columns and rows that memory is spent on; a stranger may ask for 65,535 of each.
const CELLS_MAX: u16 = 2000;

/// A line that was wrapped for longer than this is broken. Nobody reads it, but it has to be kept until it ends.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How many bytes of text may leave the screen for each byte of output, and how many more at any time. A few bytes can fill a screen
/// again and again; what people read never comes near.
const TEXT_PER_BYTE_MAX: usize = 64;
const TEXT_SPARE_BYTES: usize = 8 << 20;

/// A screen and what has left it.
pub(crate) struct Screen {
    terminal: Terminal,
    parser: Parser,
    columns: usize,
    joiner: Utf8Joiner,
    scrolled: Scrolled,
    /// Whether a terminal's driver has seen to it that each line begins on the left. What comes out of pipes has ends of lines only.
    driven: bool,
}

impl Screen {
    pub(crate) fn new(size: Size) -> Self {
        let (columns, rows) = cells(size);
        let terminal = Terminal::new(columns, rows).expect("a size has neither no columns nor no rows");
        Self {
            terminal,
            parser: Parser::new(),
            columns,
            joiner: Utf8Joiner::default(),
            scrolled: Scrolled { room: TEXT_SPARE_BYTES, ..Scrolled::default() },
            driven: false,
        }
    }

    /// The output is that of a terminal.
    pub(crate) fn has_terminal(&mut self) {
        self.driven = true;
    }

    pub(crate) fn resize(&mut self, size: Size) {
        let (columns, rows) = cells(size);
        self.columns = columns;
        self.terminal.resize_with(columns, rows, &mut self.scrolled);
    }

    /// Shows output.
    pub(crate) fn show(&mut self, data: &[u8]) {
        let Self { terminal, parser, columns, joiner, scrolled, driven } = self;
        scrolled.room = scrolled.room.saturating_add(data.len().saturating_mul(TEXT_PER_BYTE_MAX));
        joiner.push(data, |text| {
            let returns = |character| (character == '\n' && !*driven).then_some('\r');
            let characters =
                text.chars().flat_map(|character| returns(character).into_iter().chain([character]));
            let functions = characters.filter_map(|character| parser.feed(character));
            terminal.execute_with(functions.map(|function| on_one_line(function, *columns)), &mut *scrolled);
        });
        // What much output has not used is nothing that a little may use later.
        scrolled.room = scrolled.room.min(TEXT_SPARE_BYTES);
    }

    /// How many lines were left out since the last call, because a few bytes of output made too many of them.
    pub(crate) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.scrolled.left_out)
    }

    /// Gives `put` the lines that have left the screen since the last call.
    pub(crate) fn take_scrolled(&mut self, put: impl FnMut(String)) {
        self.scrolled.ready.drain(..).for_each(put);
    }

    /// The lines that are still on the screen, and so may change; empty ones at the end are left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let pending = self.scrolled.pending.clone();
        let mut rest = Scrolled { pending, room: usize::MAX, ..Scrolled::default() };
        self.terminal.primary_screen().all_lines().for_each(|line| rest.push(line));
        rest.end();
        rest.ready
    }
}

/// A character is repeated for the length of a line at most, as terminals do it.
fn on_one_line(function: Function, columns: usize) -> Function {
    match function {
        Function::Rep(times) => Function::Rep(times.min(u16::try_from(columns).unwrap_or(u16::MAX))),
        other => other,
    }
}

fn cells(size: Size) -> (usize, usize) {
    (usize::from(size.columns.clamp(1, CELLS_MAX)), usize::from(size.rows.clamp(1, CELLS_MAX)))
}

/// Joins rows that were wrapped to lines.
#[derive(Default)]
struct Scrolled {
    pending: String,
    ready: Vec<String>,
    /// How many bytes may still leave the screen.
    room: usize,
    left_out: u64,
}

impl Scrolled {
    fn push(&mut self, row: &Line) {
        let start = self.pending.len();
        self.pending.extend(row.chars());
        // What is blank at the end of a line costs nothing in the file.
        let length = self.pending[start..].trim_end().len();
        if let Some(room) = self.room.checked_sub(length) {
            self.room = room;
        } else {
            self.left_out += 1;
            self.pending.truncate(start);
            if start == 0 {
                return;
            }
        }
        if !row.is_wrapped() || self.pending.len() > LINE_BYTES_MAX {
            self.ready.push(self.pending.trim_end().to_owned());
            self.pending.clear();
        }
    }

    /// Nothing follows: what waits is a line, and empty lines below the last one are only screen.
    fn end(&mut self) {
        if !self.pending.is_empty() {
            self.ready.push(std::mem::take(&mut self.pending).trim_end().to_owned());
        }
        while self.ready.last().is_some_and(String::is_empty) {
            self.ready.pop();
        }
    }
}

impl Observer for Scrolled {
    type Output = ();

    fn before(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        // A reset clears the screen without scrolling it away; what was on it was seen all the same.
        if matches!(operation, Operation::Function(Function::Ris)) {
            let pending = std::mem::take(&mut self.pending);
            let mut shown = Self { pending, room: self.room, ..Self::default() };
            context.terminal().primary_screen().all_lines().for_each(|line| shown.push(line));
            shown.end();
            self.ready.append(&mut shown.ready);
            (self.room, self.left_out) = (shown.room, self.left_out + shown.left_out);
        }
    }

    fn evicted(&mut self, _context: &mut Observation<'_>, line: &Line) {
        self.push(line);
    }

    fn end(&mut self, _context: &mut Observation<'_>) {}
}
