//! A terminal that nobody looks at: output goes in, lines come out as they leave the screen. Knows nothing of files.

use avt::parser::Function;
use avt::{Line, Observation, Observer, Operation, Terminal};
use tapedeck_kit::Utf8Joiner;
use tapedeck_sdk::kinds::terminal::Size;

/// The most columns and rows that memory is spent on; a stranger may ask for 65,535 of each.
const CELLS_MAX: u16 = 2000;

/// A line that was wrapped for longer than this is broken. Nobody reads it, but it has to be kept until it ends.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A screen and what has left it.
pub(crate) struct Screen {
    terminal: Terminal,
    joiner: Utf8Joiner,
    scrolled: Scrolled,
    /// Whether a terminal's driver has seen to it that each line begins on the left. What comes out of pipes has ends of lines only.
    driven: bool,
}

impl Screen {
    pub(crate) fn new(size: Size) -> Self {
        let (columns, rows) = cells(size);
        let terminal = Terminal::new(columns, rows).expect("a size has neither no columns nor no rows");
        Self { terminal, joiner: Utf8Joiner::default(), scrolled: Scrolled::default(), driven: false }
    }

    /// The output is that of a terminal.
    pub(crate) fn has_terminal(&mut self) {
        self.driven = true;
    }

    pub(crate) fn resize(&mut self, size: Size) {
        let (columns, rows) = cells(size);
        self.terminal.resize_with(columns, rows, &mut self.scrolled);
    }

    /// Shows output.
    pub(crate) fn show(&mut self, data: &[u8]) {
        let (terminal, scrolled) = (&mut self.terminal, &mut self.scrolled);
        let driven = self.driven;
        self.joiner.push(data, |text| {
            if driven {
                terminal.feed_with(text, &mut *scrolled);
                return;
            }
            for (index, line) in text.split('\n').enumerate() {
                if index > 0 {
                    terminal.feed_with("\r\n", &mut *scrolled);
                }
                terminal.feed_with(line, &mut *scrolled);
            }
        });
    }

    /// Gives `put` the lines that have left the screen since the last call.
    pub(crate) fn take_scrolled(&mut self, put: impl FnMut(String)) {
        self.scrolled.ready.drain(..).for_each(put);
    }

    /// The lines that are still on the screen, and so may change; empty ones at the end are left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut rest = Scrolled { pending: self.scrolled.pending.clone(), ready: Vec::new() };
        self.terminal.primary_screen().all_lines().for_each(|line| rest.push(line));
        rest.end();
        rest.ready
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
}

impl Scrolled {
    fn push(&mut self, row: &Line) {
        self.pending.extend(row.chars());
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
            let mut shown = Self { pending: std::mem::take(&mut self.pending), ready: Vec::new() };
            context.terminal().primary_screen().all_lines().for_each(|line| shown.push(line));
            shown.end();
            self.ready.append(&mut shown.ready);
        }
    }

    fn evicted(&mut self, _context: &mut Observation<'_>, line: &Line) {
        self.push(line);
    }

    fn end(&mut self, _context: &mut Observation<'_>) {}
}
