//! Somebody before a terminal of their own, in which a program runs: sees everything, types, changes the window's size. Knows nothing of
//! the program.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Child;

use pty_process::blocking::{Command, Pty, open};
use rustix::fs::OFlags;
use rustix::termios::{LocalModes, Termios, tcgetattr};

use crate::util::wait_until;

/// A terminal with a program in it.
pub(crate) struct Seat {
    master: Pty,
    pub(crate) child: Child,
    pub(crate) seen: Vec<u8>,
    before: Termios,
}

impl Seat {
    pub(crate) fn start(command: Command) -> Self {
        let (master, slave) = open().unwrap();
        let flags = rustix::fs::fcntl_getfl(&master).unwrap();
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK).unwrap();
        let before = tcgetattr(&master).unwrap();
        master.resize(pty_process::Size::new(24, 80)).unwrap();
        let child = command.env("TERM", "xterm-256color").spawn(slave).unwrap();
        Self { master, child, seen: Vec::new(), before }
    }

    /// Takes what is shown now.
    pub(crate) fn look(&mut self) {
        let mut buffer = [0; 4096];
        // Linux says EIO at the end.
        while let Ok(count @ 1..) = self.master.read(&mut buffer) {
            self.seen.extend_from_slice(&buffer[..count]);
        }
    }

    fn find(&self, words: &str) -> Option<usize> {
        self.seen.windows(words.len()).position(|part| part == words.as_bytes())
    }

    /// Reads until these words were shown.
    pub(crate) fn until(&mut self, words: &str) {
        wait_until(&format!("{words:?} is shown"), || {
            self.look();
            self.find(words).is_some()
        });
    }

    /// The same, and forgets what was shown up to there.
    pub(crate) fn past(&mut self, words: &str) {
        self.until(words);
        let end = self.find(words).unwrap() + words.len();
        self.seen.drain(..end);
    }

    /// What was shown and not forgotten.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.master.resize(pty_process::Size::new(rows, columns)).unwrap();
    }

    /// Whether the program takes each key as it comes.
    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(self.master.as_fd()).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Reads to the end; the terminal must then be as it was. Returns the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the program has ended", || {
            self.look();
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.look();
        let now = tcgetattr(self.master.as_fd()).unwrap();
        assert_eq!(now.local_modes, self.before.local_modes, "the terminal is put back");
        status.unwrap().code()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A program that has ended already is as good.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}
