//! A terminal recording as it is shown: its bytes, and after a jump the screen that they made. Knows nothing of when.

use std::time::Duration;

use avt::parser::Function;
use avt::{Parser, ScreenKind, Terminal};
use tapedeck_kit::Utf8Joiner;
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::{Code, Size};

use super::arguments::TerminalArguments;
use super::player::{Part, Show, Shown, Standing, Take};
use super::screen::{LEAVE_ALTERNATE, PUT_BACK, Screen};
use super::tape::{Event, Tape};

/// The most cells that a recording's terminal is followed with.
const CELLS_MAX: u16 = 2000;

/// Ends a sequence that was begun, and does nothing else (ECMA-48, CAN).
const CANCEL: &str = "\x18";

/// Everything to its first state, and the screen empty.
const CLEAR: &str = "\x1b[?1049l\x1b[0m\x1b[?6l\x1b[r\x1b[H\x1b[2J";

/// A terminal recording that is played.
pub(super) struct TerminalShow {
    tape: Tape,
    followed: Followed,
    /// Where the last event was that is followed already.
    reached: Duration,
    pauses_at_marks: bool,
    resizes: bool,
}

impl TerminalShow {
    pub(super) fn new(tape: Tape, arguments: &TerminalArguments) -> Self {
        Self {
            tape,
            followed: Followed::new(),
            reached: Duration::ZERO,
            pauses_at_marks: arguments.pause_at_marks,
            resizes: arguments.resize,
        }
    }

    fn follow(&mut self, event: &Event) {
        self.reached = event.at;
        match event.code {
            Some(Code::Output) => self.followed.show(&event.data),
            Some(Code::Resize) => {
                Size::parse(&event.data).into_iter().for_each(|size| self.followed.resize(size))
            }
            _ => {}
        }
    }
}

impl Show for TerminalShow {
    fn part(&self) -> &Part {
        &self.tape.part
    }

    fn next_at(&mut self) -> Result<Option<Duration>, Error> {
        self.tape.next_at()
    }

    fn advance(&mut self, _: Take, screen: &mut Screen) -> Result<Shown, Error> {
        let Some(event) = self.tape.next()? else { return Ok(Shown::GoOn) };
        self.follow(&event);
        let is_seen = match event.code {
            Some(Code::Output) => screen.show(&event.data),
            Some(Code::Resize) if self.resizes => Size::parse(&event.data)
                .is_none_or(|size| screen.show(format!("\x1b[8;{};{}t", size.rows, size.columns).as_bytes())),
            Some(Code::Mark) if self.pauses_at_marks => return Ok(Shown::Pause),
            _ => true,
        };
        Ok(if is_seen { Shown::GoOn } else { Shown::Gone })
    }

    fn go_to(&mut self, to: Duration, screen: &mut Screen) -> Result<(), Error> {
        if to < self.reached {
            self.tape.rewind()?;
            self.followed = Followed::new();
            self.reached = Duration::ZERO;
        }
        while self.tape.next_at()?.is_some_and(|at| at <= to) {
            let Some(event) = self.tape.next()? else { break };
            self.follow(&event);
        }
        screen.show(self.followed.dump().as_bytes());
        Ok(())
    }

    fn refresh(&mut self, _: &Standing, _: &mut Screen) {}

    fn farewell(&mut self, _: &Standing, screen: &Screen) -> String {
        if screen.is_plain() { String::new() } else { self.followed.farewell() }
    }
}

/// What follows the recording's terminal, so that any moment of it can be shown.
struct Followed {
    terminal: Terminal,
    /// Sees what the terminal's own parser sees, a moment earlier.
    parser: Parser,
    columns: u16,
    joiner: Utf8Joiner,
}

impl Followed {
    fn new() -> Self {
        let terminal = Terminal::new(80, 24).expect("80x24 is a size");
        Self { terminal, parser: Parser::new(), columns: 80, joiner: Utf8Joiner::default() }
    }

    /// A character is repeated for the length of a line at most: a few bytes of a recording must not take seconds.
    fn show(&mut self, data: &[u8]) {
        let Self { terminal, parser, columns, joiner } = self;
        joiner.push(data, |text| {
            let mut shown = 0;
            for (at, character) in text.char_indices() {
                if let Some(Function::Rep(times)) = parser.feed(character)
                    && times > *columns
                {
                    terminal.feed(&text[shown..at]);
                    terminal.feed(CANCEL);
                    terminal.execute(Function::Rep(*columns));
                    shown = at + character.len_utf8();
                }
            }
            terminal.feed(&text[shown..]);
        });
    }

    fn resize(&mut self, size: Size) {
        let cells = |cells: u16| cells.clamp(1, CELLS_MAX);
        self.columns = cells(size.columns);
        self.terminal.resize(usize::from(self.columns), usize::from(cells(size.rows)));
    }

    /// What makes any terminal show the same.
    fn dump(&self) -> String {
        format!("{CLEAR}{}", self.terminal.dump())
    }

    /// What ends the show.
    fn farewell(&self) -> String {
        let alternate = self.terminal.active_screen_kind() == ScreenKind::Alternate;
        format!("{}{PUT_BACK}\r\n", if alternate { LEAVE_ALTERNATE } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&str]) -> String {
        let mut followed = Followed::new();
        parts.iter().for_each(|part| followed.show(part.as_bytes()));
        followed.dump()
    }

    #[test]
    fn a_character_is_repeated_for_a_line_at_most() {
        assert_eq!(shown(&["xA\x1b[3bB"]), shown(&["xAAAAB"]));
        let line = format!("xA{}B", "A".repeat(80));
        assert_eq!(shown(&["xA\x1b[65535bB"]), shown(&[&line]));
        assert_eq!(shown(&["xA\x1b[6553", "5bB"]), shown(&[&line]), "also where it comes in parts");
        assert_eq!(shown(&["x\x1b[31", "m"]), shown(&["x\x1b[31m"]));
        assert_ne!(shown(&["x\x1b[31"]), shown(&["x"]), "what is not whole yet is not forgotten");
    }
}
