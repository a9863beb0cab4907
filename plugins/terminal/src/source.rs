//! The `terminal` source: turns what happens in a terminal into frames.

use std::io;
use std::time::Duration;

use tapedeck_sdk::kinds::terminal::{self, Code, SINGLE_KEY, Size};
use tapedeck_sdk::prelude::*;

use crate::frames::Frames;
use crate::options::{Keys, TerminalOptions};
use crate::poll::{self, Ready, Wanted};
use crate::pty::{Read, Session};
use crate::typed::{Key, Typed};
use crate::user::{Seat, User};

/// The most bytes of an `o` frame. Whoever shows and writes it is to have something to do while more is read: larger and smaller ones took
/// longer for the same output.
const FRAME_BYTES_MAX: usize = 8 << 10;

/// So much output may wait for the user's terminal, and so much input for the command, before no more is read.
const BACKLOG_BYTES_MAX: usize = 64 << 10;

/// So much is read after the command's end: the kernel keeps less than that, so more is from somebody who goes on writing.
const REST_BYTES_MAX: usize = 1 << 20;

/// How often a kernel without process handles is asked whether the command has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How far the recording is.
enum Phase {
    /// Nothing was given yet; the user's terminal is as it was.
    Fresh(Option<Seat>),
    Running,
    /// The command has ended with this status; so many bytes were read since.
    Ending(i32, usize),
    Ended,
}

/// A command that is being recorded.
pub(crate) struct Terminal {
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    host: Arc<dyn Host>,
    // The user's terminal is put back before the command is hung up: that may take a moment.
    user: Option<User>,
    session: Session,
    phase: Phase,
    size: Size,
    /// Whether the terminal keeps the size that the options say.
    fixed: bool,
    records_input: bool,
    keys: Keys,
    echoes: bool,
    paced: bool,
    /// Whether nobody has the terminal open, as far as this call knows.
    hung_up: bool,
    /// Whether the user can still type.
    listening: bool,
    frames: Frames,
    typed: Vec<u8>,
    /// Tells keys from what the user's terminal answers.
    pressed: Typed,
    /// Input that the command has not taken yet.
    to_command: Vec<u8>,
}

impl Terminal {
    /// Starts the command. `seat` is the user's terminal, if there is one to attach to.
    pub(crate) fn start(
        options: &TerminalOptions,
        seat: Option<Seat>,
        context: &Context,
    ) -> Result<Self, Error> {
        let keys = options.check()?;
        let window = seat.as_ref().and_then(Seat::window);
        let size = Size {
            columns: options.width.or(window.map(|(size, _)| size.columns)).unwrap_or(80),
            rows: options.height.or(window.map(|(size, _)| size.rows)).unwrap_or(24),
        };
        let fixed = options.width.is_some() || options.height.is_some();
        // A size of the options' own has no pixels that anybody knows.
        let pixels = window.filter(|_| !fixed).map_or((0, 0), |(_, pixels)| pixels);
        let piped = seat.as_ref().is_some_and(|seat| !seat.is_interactive());
        let schema = terminal::schema(&context.id).metadata(SINGLE_KEY, "true").build()?;
        Ok(Self {
            pool: BatchPool::new(schema.clone()),
            streams: [schema],
            host: context.host.clone(),
            user: None,
            session: Session::start(options, size, pixels, piped)?,
            phase: Phase::Fresh(seat),
            size,
            fixed,
            records_input: options.input,
            keys,
            echoes: true,
            paced: context.rate_hz.is_some(),
            hung_up: false,
            listening: true,
            frames: Frames::default(),
            typed: Vec::new(),
            pressed: Typed::default(),
            to_command: Vec::new(),
        })
    }

    fn begin(&mut self, seat: Option<Seat>) -> Result<(), Error> {
        self.user = seat.map(User::sit).transpose()?;
        self.push_size();
        Ok(())
    }

    fn push_size(&mut self) {
        let size = self.size.to_string();
        let at = self.host.now();
        self.frames.push(at, Code::Resize, size.as_bytes());
    }

    fn pause_or_resume(&self) {
        if self.host.is_paused() { self.host.resume() } else { self.host.pause() }
    }

    /// Waits until something can be done, or the time is over.
    fn wait(&self, time: Duration) -> io::Result<Ready> {
        let backlog = self.user.as_ref().map_or(0, User::backlog);
        let running = matches!(self.phase, Phase::Running);
        let master = self.session.master();
        let wanted = Wanted {
            ended: self.session.ended().filter(|_| running),
            output: Some(master).filter(|_| !self.hung_up && backlog < BACKLOG_BYTES_MAX),
            room: self.session.input(self.hung_up).filter(|_| !self.to_command.is_empty()),
            typed: self.user.as_ref().filter(|_| self.wants_input()).map(User::input),
            screen: self.user.as_ref().filter(|_| backlog > 0).map(User::output),
            resized: self.user.as_ref().map(User::resized),
        };
        let time = if self.session.ended().is_none() { time.min(LOOK_INTERVAL) } else { time };
        let mut ready = poll::wait(&wanted, time)?;
        ready.ended |= running && self.session.ended().is_none();
        Ok(ready)
    }

    fn wants_input(&self) -> bool {
        self.listening && self.session.takes_input() && self.to_command.len() < BACKLOG_BYTES_MAX
    }

    fn serve(&mut self, ready: Ready) -> io::Result<()> {
        if ready.ended
            && let Some(status) = self.session.exit_status()?
        {
            self.phase = Phase::Ending(status, 0);
        }
        if ready.resized {
            self.resize()?;
        }
        if ready.typed {
            self.take_input();
        }
        if !self.to_command.is_empty() {
            let taken = self.session.write(&self.to_command)?;
            self.to_command.drain(..taken);
        }
        if !self.listening && self.to_command.is_empty() {
            self.session.end_input();
        }
        if ready.screen
            && let Some(user) = &mut self.user
        {
            user.catch_up();
        }
        if ready.output || matches!(self.phase, Phase::Ending(..)) {
            self.take_output()?;
        }
        Ok(())
    }

    fn resize(&mut self) -> io::Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        // Pixels may change alone, with the size of the letters.
        if let Some((size, pixels)) = user.new_window().filter(|_| !self.fixed) {
            self.session.resize(size, pixels)?;
            if std::mem::replace(&mut self.size, size) != size {
                self.push_size();
            }
        }
        Ok(())
    }

    fn take_input(&mut self) {
        let Some(user) = &self.user else { return };
        self.typed.clear();
        self.listening = user.read(&mut self.typed);
        let is_interactive = user.is_interactive();
        let at = self.host.now();
        let key = if is_interactive { self.key_pressed(at) } else { None };
        if key.is_some() && key == self.keys.pause {
            return self.pause_or_resume();
        }
        if key.is_some() && key == self.keys.mark {
            self.host.mark("");
            return self.frames.push(at, Code::Mark, b"");
        }
        if self.records_input && !self.typed.is_empty() && !self.host.is_paused() {
            let echoes = self.session.echoes();
            if std::mem::replace(&mut self.echoes, echoes) != echoes {
                self.frames.push(at, Code::Echo, if echoes { b"on" } else { b"off" });
            }
            self.frames.push(at, Code::Input, &self.typed);
        }
        self.to_command.extend_from_slice(&self.typed);
    }

    /// The key that was typed, if it was one and nothing else: the same byte among others was pasted, and is the command's.
    fn key_pressed(&mut self, at: Timestamp) -> Option<u8> {
        let mut keys = Vec::new();
        self.pressed.read(&self.typed, at, |key| keys.push(key));
        let [Key::Byte(byte)] = keys[..] else { return None };
        // Its report (kitty's `CSI … u`, xterm's `CSI 27 ; … ~`) is one control sequence.
        let parameters = self.typed.strip_prefix(b"\x1b[").and_then(<[u8]>::split_last);
        let is_report =
            parameters.is_some_and(|(_, rest)| rest.iter().all(|byte| (0x20..0x40).contains(byte)));
        (self.typed == [byte] || is_report).then_some(byte)
    }

    fn take_output(&mut self) -> io::Result<()> {
        if self.user.as_ref().is_some_and(|user| user.backlog() >= BACKLOG_BYTES_MAX) {
            return Ok(());
        }
        let begin = self.frames.data.len();
        let read = self.session.read(&mut self.frames.data, FRAME_BYTES_MAX)?;
        self.hung_up = read == Read::HungUp;
        let bytes = self.frames.data.len() - begin;
        if let Some(user) = &mut self.user {
            user.show(&self.frames.data[begin..]);
        }
        let at = self.host.now();
        if self.host.is_paused() {
            self.frames.data.truncate(begin);
        } else if bytes > 0 {
            self.frames.end(at, Code::Output);
        }
        if let Phase::Ending(status, rest) = &mut self.phase {
            *rest += bytes;
            if read != Read::Full || *rest > REST_BYTES_MAX {
                self.frames.push(at, Code::Exit, status.to_string().as_bytes());
                self.phase = Phase::Ended;
            }
        }
        Ok(())
    }

    /// All was given. What the user has not seen yet is still to be shown.
    fn end(&mut self, deadline: Timestamp) -> io::Result<Next> {
        while self.user.as_ref().is_some_and(|user| user.backlog() > 0) {
            let time = deadline.since(self.host.now());
            let screen = self.user.as_ref().map(User::output);
            if !poll::wait(&Wanted { screen, ..Wanted::default() }, time)?.screen {
                return Ok(Next::Idle);
            }
            if let Some(user) = &mut self.user {
                user.catch_up();
            }
        }
        self.user = None;
        Ok(Next::End)
    }

    fn run(&mut self, deadline: Timestamp) -> io::Result<Next> {
        // A terminal that was closed may have been opened again.
        self.hung_up = false;
        loop {
            if !self.frames.rows.is_empty() {
                return Ok(Next::Batch { output: 0, batch: self.frames.take(&mut self.pool) });
            }
            if matches!(self.phase, Phase::Ended) {
                return self.end(deadline);
            }
            let time = if self.paced { Duration::ZERO } else { deadline.since(self.host.now()) };
            let ready = self.wait(time)?;
            if !ready.any() {
                return Ok(Next::Idle);
            }
            self.serve(ready)?;
            // What is served need not make a frame: input that is not recorded, output while paused. The deadline is no bound for
            // it: in a pause it never comes, as the time stands still.
            if self.frames.rows.is_empty() && !matches!(self.phase, Phase::Ended) {
                return Ok(Next::Idle);
            }
        }
    }
}

impl Source for Terminal {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        if let Phase::Fresh(seat) = &mut self.phase {
            let seat = seat.take();
            self.phase = Phase::Running;
            self.begin(seat)?;
        }
        self.run(deadline)
            .map_err(|error| Error::new(ErrorKind::Io, format!("can't go on with the terminal: {error}")))
    }

    /// The command is hung up; what it says to that, and how it ends, is still recorded.
    fn stop(&mut self) -> Result<bool, Error> {
        if matches!(self.phase, Phase::Fresh(_) | Phase::Ended) {
            return Ok(false);
        }
        self.session.hang_up();
        Ok(true)
    }
}

impl OpenSource for Terminal {
    type Options = TerminalOptions;

    fn describe() -> Description {
        Description::source("terminal", "Records a command in a terminal of its own, or the user's shell")
            .version(env!("CARGO_PKG_VERSION"))
            .gives(&[Kind::Terminal])
            // The user still sees what the command says.
            .runs_in_pause()
    }

    fn check(options: &TerminalOptions) -> Result<(), Error> {
        options.check().map(drop)
    }

    fn open(options: TerminalOptions, context: Context) -> Result<Self, Error> {
        let seat = if options.attach { Seat::any() } else { None };
        if options.attach && seat.is_none() {
            context
                .host
                .warn("standard input and output can't be had: nobody sees the command, nor types to it");
        }
        Self::start(&options, seat, &context)
    }
}
