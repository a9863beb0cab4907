//! A user before a terminal: starts a program in one, reads what it shows, types, and answers what programs ask of terminals. Knows
//! nothing of what the program is.

use std::io::{Read as _, Write as _};
use std::process::Child;

use pty_process::blocking::{Command, Pty, open};

/// What programs send to learn which terminal this is, and what a terminal answers.
const QUESTION: &[u8] = b"\x1b[c";
const ANSWER: &[u8] = b"\x1b[?62;22c";

/// A terminal with a program in it.
pub(super) struct User {
    master: Pty,
    pub(super) child: Child,
    answered: bool,
    buffer: Vec<u8>,
}

impl User {
    pub(super) fn start(command: Command) -> Self {
        let (master, slave) = open().expect("the system has terminals");
        master.resize(pty_process::Size::new(24, 80)).expect("a terminal has a size");
        let child = command.env("TERM", "xterm-256color").spawn(slave).expect("the program can be started");
        Self { master, child, answered: false, buffer: vec![0; 64 << 10] }
    }

    /// Waits for output. Empty at the end.
    pub(super) fn read(&mut self) -> &[u8] {
        // Linux says EIO when nobody has the terminal open any more.
        let count = self.master.read(&mut self.buffer).unwrap_or(0);
        let shown = &self.buffer[..count];
        if !self.answered && shown.windows(QUESTION.len()).any(|part| part == QUESTION) {
            self.answered = true;
            self.master.write_all(ANSWER).expect("a terminal takes some bytes");
        }
        shown
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).expect("a terminal takes some bytes");
    }

    /// Reads until the program has shown this.
    pub(super) fn until(&mut self, words: &[u8]) {
        let mut seen = Vec::new();
        while !seen.windows(words.len()).any(|part| part == words) {
            let shown = self.read();
            assert!(!shown.is_empty(), "the program has ended: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(shown);
        }
    }
}
