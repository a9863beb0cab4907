//! One connection and its file: the lines for ever, and the screen below them until it changes. Knows nothing of other connections.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapedeck_kit::terminal::{Recording, Taken};
use tapedeck_sdk::kinds::terminal::{Code, Size};
use tapedeck_sdk::{Error, Host, Role, Timestamp};

use crate::screen::Screen;

/// Lines that have left the screen are written when this much has come together, or at each flush.
const BUFFER_BYTES: usize = 64 << 10;

/// Why lines are left out.
const TOO_MUCH: &str = "a few bytes of output make too much text";

/// What a terminal shows, in a file.
pub(crate) struct Transcript {
    file: File,
    path: PathBuf,
    screen: Screen,
    /// Lines that have left the screen and are not written yet.
    lines: Vec<u8>,
    /// Bytes of the file that will not change any more.
    length: u64,
    changed: bool,
    /// Whether it was said that lines are left out.
    said: bool,
    /// Whether the output is bytes of a transfer, which are not shown.
    bytes: bool,
}

/// Whether facts say that the output is bytes of a transfer.
fn is_bytes(facts: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(facts)
        .is_ok_and(|facts| facts.get("output_as").is_some_and(|value| value == "bytes"))
}

/// What all transcripts of a stream have in common.
pub(crate) struct Style {
    pub(crate) size: Size,
    pub(crate) host: Arc<dyn Host>,
}

impl Transcript {
    /// Says in the text where lines are left out, and once to the user. Whether some are.
    fn leave_out(&mut self, host: &dyn Host) -> bool {
        let count = self.screen.take_left_out();
        if count == 0 {
            return false;
        }
        let what = format!("{count} lines left out: {TOO_MUCH}");
        self.lines.extend_from_slice(format!("[{what}]\n").as_bytes());
        if !std::mem::replace(&mut self.said, true) {
            host.warn(&format!("{what}: {}", self.path.display()));
        }
        true
    }

    fn gather(&mut self) -> Result<(), Error> {
        let lines = &mut self.lines;
        self.screen.take_scrolled(|line| {
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        });
        if self.lines.len() >= BUFFER_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the lines, and with them the screen: what a flush has written once is never missing from the file.
    fn write(&mut self) -> Result<(), Error> {
        let settled = self.lines.len();
        for line in self.screen.lines() {
            self.lines.extend_from_slice(line.as_bytes());
            self.lines.push(b'\n');
        }
        let end = self.length + self.lines.len() as u64;
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&self.lines))
            .and_then(|()| self.file.set_len(end));
        written.map_err(|error| {
            Error::io("write the text", &self.path, &error).with_hint("What was written before can be read.")
        })?;
        self.length += settled as u64;
        self.lines.clear();
        Ok(())
    }
}

impl Recording for Transcript {
    type Style = Style;

    fn begin(
        input: usize,
        _connection: &str,
        _at: Timestamp,
        stem: &Path,
        _open: usize,
        style: &Style,
        host: &dyn Host,
    ) -> Result<Self, Error> {
        let path = host.artifact(&stem.with_added_extension("txt"), Role::RecordingOf(input))?;
        let file = File::create(&path).map_err(|error| Error::io("make the file", &path, &error))?;
        let screen = Screen::new(style.size);
        let lines = Vec::new();
        Ok(Self { file, path, screen, lines, length: 0, changed: false, bytes: false, said: false })
    }

    fn take(&mut self, _at: Timestamp, code: Code, data: &[u8], style: &Style) -> Result<Taken, Error> {
        match code {
            Code::Output if self.bytes => return Ok(Taken::LeftOut),
            Code::Output => self.screen.show(data),
            Code::Resize => match Size::parse(data) {
                Some(size) => {
                    self.screen.has_terminal();
                    self.screen.resize(size);
                }
                None => return Ok(Taken::No),
            },
            Code::Exit => return Ok(Taken::EndedLeftOut),
            Code::Facts => {
                self.bytes |= is_bytes(data);
                return Ok(Taken::LeftOut);
            }
            Code::Input | Code::Mark | Code::Echo => return Ok(Taken::LeftOut),
        }
        self.changed = true;
        let (gathered, left_out) = (self.gather(), self.leave_out(style.host.as_ref()));
        gathered.map(|()| if left_out { Taken::Refused(TOO_MUCH) } else { Taken::Yes })
    }

    fn flush(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.changed) { self.write() } else { Ok(()) }
    }

    fn finish(mut self, _error: Option<&Error>, _style: &Style) -> Result<(), Error> {
        self.write()
    }
}
