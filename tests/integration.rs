//! The one integration binary. Each module is one thing that must hold of the whole program:
//!
//! - `util`: the small vocabulary (`Dir`, `Tapedeck`, `python`) that the others speak
//! - `tidy`: rules of the house that no compiler checks: who imports whom, how files begin, how long they are
//! - `cli`: what the program prints: help, plugins, graphs, completions
//! - `bad_input`: everything wrong that a user can say; one clear message, exit code 2, nothing touched
//! - `doors`, `guest`: plugins that are files: the same bytes through three doors, hostile ones, `plugins check` and `new`
//! - `game`: a live process is recorded, and the files say what the process's own log says
//! - `mcap`: MCAP files before other programs' readers and checks, and theirs before ours
//! - `formats`: each sink's file read back by somebody else's reader
//! - `kill`: `kill -9` at random moments, then `recover`
//! - `disk`: a disk that fills up
//! - `balance`: sessions that end badly at random, and a program of somebody else's readers that counts what is left
//! - `frame_path`: what the frame path may cost: heap allocations
//! - `gateway`, `seat`: the vocabulary of tests over SSH, and of tests that need somebody before a terminal
//! - `peers`: asciinema 3.2 reads what we record, and we read what it records
//! - `bad_days`: terminal recordings while disks fill up, gateways are killed, windows are dragged about
//! - `ssh_facts`: what sidecars of SSH sessions say, and bytes of transfers beside them
//! - `strict`: SSH sessions that must not outrun their recording
//! - `terminals`: terminal recordings: `rec`, `convert`, `inspect`, a kill
//! - `people`: bad days and first minutes: interrupted and damaged recordings, signals, limits, mistyped commands, `new`
//! - `play`: `play` before a person: keys, timing, the terminal put back; into a pipeline; marks and pauses of `rec`; `convert` to text
//! - `recover`: `recover` of sessions that somebody has had in hands
//! - `replay`: recordings given back: `replay`, `at`, `convert` of parts, `sessions`
//! - `dimos`: SQLite recordings after a kill, back and forth
//! - `lmsp`: recordings of events before a Python program, and the program's before us
//! - `pickles`: folders of timed pickles before Python, and Python's before us
//! - `pipelines`: every file in `pipelines/` and every command of the README runs

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails, helpers included")]

mod bad_days;
mod bad_input;
mod balance;
mod cli;
mod dimos;
mod disk;
mod doors;
mod formats;
mod frame_path;
mod game;
mod gateway;
mod guest;
mod kill;
mod lmsp;
mod mcap;
mod peers;
mod people;
mod pickles;
mod pipelines;
mod play;
mod recover;
mod replay;
mod seat;
mod ssh_facts;
mod strict;
mod terminals;
mod tidy;
mod util;
