//! Lines from standard input or from clients, as they come. Knows nothing of what they say.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tapedeck_sdk::Error;

use crate::options::Listen;

/// The most bytes of a line.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;
/// The most clients at once. More wait until one has gone.
const CLIENTS_MAX: usize = 64;
const READ_BYTES: usize = 64 << 10;

/// Somebody who sends lines.
struct Client {
    /// None is standard input.
    stream: Option<UnixStream>,
    buffer: Vec<u8>,
    /// How much of the buffer has no line end.
    seen: usize,
    /// Lines so far.
    lines: u64,
    ended: bool,
    /// Whether the rest of a line is passed over, which is too long.
    skips: bool,
}

/// A line, of whom, and its number.
pub(crate) struct Line {
    client: usize,
    pub(crate) number: u64,
    /// None: it is too long.
    pub(crate) text: Option<Vec<u8>>,
}

/// Where lines come from.
pub(crate) struct Lines {
    listener: Option<(UnixListener, PathBuf)>,
    clients: Vec<Client>,
    /// The client that is asked next, so that none holds up the others.
    turn: usize,
}

impl Client {
    fn new(stream: Option<UnixStream>) -> Self {
        Self { stream, buffer: Vec::new(), seen: 0, lines: 0, ended: false, skips: false }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // Nothing else of this program reads standard input.
        match &self.stream {
            Some(stream) => stream.as_fd(),
            None => rustix::stdio::stdin(),
        }
    }

    /// Takes the next line out of the buffer.
    fn line(&mut self) -> Option<Option<Vec<u8>>> {
        loop {
            let end = memchr::memchr(b'\n', &self.buffer[self.seen..]).map(|found| self.seen + found);
            let Some(end) = end else {
                self.seen = self.buffer.len();
                if self.seen > LINE_BYTES_MAX {
                    self.buffer.clear();
                    self.seen = 0;
                    if !std::mem::replace(&mut self.skips, true) {
                        self.lines += 1;
                        return Some(None);
                    }
                }
                // A last line may have no end.
                let last = self.ended && !self.buffer.is_empty() && !self.skips;
                self.lines += u64::from(last);
                return last.then(|| Some(std::mem::take(&mut self.buffer))).inspect(|_| self.seen = 0);
            };
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.seen = 0;
            if std::mem::take(&mut self.skips) {
                continue;
            }
            self.lines += 1;
            if !line.trim_ascii().is_empty() {
                return Some(Some(line));
            }
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; READ_BYTES];
        let read = match &mut self.stream {
            Some(stream) => stream.read(&mut bytes),
            None => rustix::io::read(rustix::stdio::stdin(), &mut bytes).map_err(io::Error::from),
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // A client that broke off: what it has sent counts.
            Err(_) => self.ended = true,
        }
    }
}

/// Makes the socket. A name that a dead process has left is taken; that of a living one is not.
fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |error: &io::Error| Error::io("make the socket", path, error).at_option(["listen"]);
    if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            let message = format!("somebody listens there already: {}", path.display());
            return Err(Error::environment(message).at_option(["listen"]));
        }
        fs::remove_file(path).map_err(|error| failed(&error))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
    let only_us = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    only_us.and_then(|()| listener.set_nonblocking(true)).map_err(|error| failed(&error))?;
    Ok(listener)
}

impl Lines {
    pub(crate) fn open(listen_at: &Listen) -> Result<Self, Error> {
        Ok(match listen_at {
            Listen::Stdin => Self { listener: None, clients: vec![Client::new(None)], turn: 0 },
            Listen::Unix(path) => {
                Self { listener: Some((listen(path)?, path.clone())), clients: Vec::new(), turn: 0 }
            }
        })
    }

    /// The next line that is here already.
    pub(crate) fn take(&mut self) -> Option<Line> {
        let count = self.clients.len();
        for offset in 0..count {
            let client = (self.turn + offset) % count;
            if let Some(text) = self.clients[client].line() {
                self.turn = client + 1;
                return Some(Line { client, number: self.clients[client].lines, text });
            }
        }
        None
    }

    /// Tells a client what was wrong with its line, if it listens.
    pub(crate) fn answer(&mut self, line: &Line, why: &str) {
        if let Some(Client { stream: Some(stream), .. }) = self.clients.get_mut(line.client) {
            let answer = serde_json::json!({ "line": line.number, "error": why });
            // One that does not read its answers does without.
            _ = stream.write_all(format!("{answer}\n").as_bytes());
        }
    }

    /// Whether nothing can come any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.listener.is_none() && self.clients.iter().all(|client| client.ended)
    }

    /// Waits for more, so long at the most, and reads it.
    pub(crate) fn wait(&mut self, time: Duration) {
        // Everything of those who have gone was taken before.
        if self.listener.is_some() {
            self.clients.retain(|client| !client.ended);
            self.turn = 0;
        }
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let accepts = self.clients.len() < CLIENTS_MAX;
        if let Some((listener, _)) = self.listener.as_ref().filter(|_| accepts) {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        let first = fds.len();
        for client in &self.clients {
            fds.push(PollFd::from_borrowed_fd(client.fd(), PollFlags::IN));
        }
        let time: Option<Timespec> = time.try_into().ok();
        if !poll(&mut fds, time.as_ref()).is_ok_and(|ready| ready > 0) {
            return;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (client, _) in self.clients.iter_mut().zip(&ready[first..]).filter(|(_, ready)| **ready) {
            client.read();
        }
        if first == 1
            && ready[0]
            && let Some((listener, _)) = &self.listener
            && let Ok((stream, _)) = listener.accept()
            && stream.set_nonblocking(true).is_ok()
        {
            self.clients.push(Client::new(Some(stream)));
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.listener {
            _ = fs::remove_file(path);
        }
    }
}
