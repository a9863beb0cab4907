//! One connection and its file: turns frames into lines and counts them. Knows nothing of other connections, nor of where files go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use tapedeck_kit::lines::LineFile;
use tapedeck_kit::terminal::{Recording, Taken};
use tapedeck_sdk::kinds::terminal::{Code, Size};
use tapedeck_sdk::{Error, Host, Role, Timestamp};

use crate::encode::{EVENT_CODES, Encoder};
use crate::file::{CastFile, OPEN_FILES_MAX};
use crate::header::{self, Header, Version};
use crate::seconds::Precision;
use crate::sidecar::{self, Sidecar, Status};
use crate::transfer::Direction;

/// What all recordings of a stream have in common.
pub(crate) struct Style {
    /// Where files of transfers are registered.
    pub(crate) host: Arc<dyn Host>,
    pub(crate) version: Version,
    pub(crate) precision: Precision,
    /// The size of a terminal that does not say it.
    pub(crate) size: Size,
    pub(crate) input: bool,
    /// Whether facts are kept beside the recording.
    pub(crate) sidecar: bool,
    pub(crate) facts: header::Facts,
}

/// A connection that is being recorded.
pub(crate) struct CastRecording {
    cast: LineFile<CastFile>,
    encoder: Encoder,
    /// Whether the header is written. It waits for the first frame that may have the terminal's size.
    headed: bool,
    facts: sidecar::Facts,
    sidecar: Option<Sidecar>,
    /// Path of the files without extensions.
    stem: PathBuf,
    output: Direction,
    input: Direction,
    /// Whether no frame was taken yet.
    fresh: bool,
    /// Whether the source has told something that the sidecar does not have yet.
    stale: bool,
}

impl Recording for CastRecording {
    type Style = Style;

    fn begin(
        input: usize,
        connection: &str,
        at: Timestamp,
        stem: &Path,
        open: usize,
        style: &Style,
        host: &dyn Host,
    ) -> Result<Self, Error> {
        let path = host.artifact(&stem.with_added_extension("cast"), Role::RecordingOf(input))?;
        let sidecar = style
            .sidecar
            .then(|| host.artifact(&stem.with_added_extension("json"), Role::Beside))
            .transpose()?;
        let file = CastFile::create(&path, open < OPEN_FILES_MAX)?;
        let facts = sidecar::Facts {
            connection: connection.to_owned(),
            status: Status::Recording,
            started_at: at,
            last_at: at,
            size: style.size,
            events: [0; EVENT_CODES],
            bytes_in: None,
            bytes_out: 0,
            exit_status: None,
            error: None,
            told: Map::new(),
        };
        Ok(Self {
            cast: LineFile::new(file, path),
            encoder: Encoder::new(style.version, style.precision),
            headed: false,
            facts,
            sidecar: sidecar.map(Sidecar::new),
            stem: stem.to_owned(),
            output: Direction::default(),
            input: Direction::default(),
            fresh: true,
            stale: true,
        })
    }

    fn take(&mut self, at: Timestamp, code: Code, data: &[u8], style: &Style) -> Result<Taken, Error> {
        let taken = self.take_frame(at, code, data, style)?;
        if std::mem::take(&mut self.fresh) {
            // Who is there is to be seen at once.
            self.refresh()?;
        }
        Ok(taken)
    }

    /// Hands everything to the kernel, and to the sidecar what is new.
    fn flush(&mut self) -> Result<(), Error> {
        self.flush_files()?;
        self.refresh()
    }

    /// The sidecar says how it ended.
    fn finish(mut self, error: Option<&Error>, style: &Style) -> Result<(), Error> {
        let ended = self.facts.exit_status.is_some();
        let rest = if ended { Ok(()) } else { self.rest(style) };
        let rest = rest.and_then(|()| self.flush_files());
        let blame = error.or(rest.as_ref().err());
        self.facts.error = blame.map(ToString::to_string);
        self.facts.status = if ended && blame.is_none() { Status::Complete } else { Status::Interrupted };
        let facts = self.sidecar.as_ref().map_or(Ok(()), |sidecar| sidecar.write(&self.facts));
        rest.and(facts)
    }
}

impl CastRecording {
    fn flush_files(&mut self) -> Result<(), Error> {
        self.cast.flush()?;
        self.output.flush()?;
        self.input.flush()
    }

    fn take_frame(&mut self, at: Timestamp, code: Code, data: &[u8], style: &Style) -> Result<Taken, Error> {
        self.facts.last_at = self.facts.last_at.max(at);
        match code {
            Code::Output => {
                self.facts.bytes_out += data.len() as u64;
                if self.output.take(data)? {
                    return Ok(Taken::Yes);
                }
            }
            Code::Input => {
                *self.facts.bytes_in.get_or_insert_default() += data.len() as u64;
                if !style.input {
                    return Ok(Taken::LeftOut);
                }
                if self.input.take(data)? {
                    return Ok(Taken::Yes);
                }
            }
            Code::Resize => return self.resize(at, data, style),
            Code::Exit => return self.exit(at, data, style),
            Code::Mark => {}
            Code::Facts => return self.told(data, style),
            // Said for transforms only.
            Code::Echo => return Ok(Taken::LeftOut),
        }
        self.event(at, code, data, style)
    }

    fn resize(&mut self, at: Timestamp, data: &[u8], style: &Style) -> Result<Taken, Error> {
        let Some(size) = Size::parse(data) else { return Ok(Taken::No) };
        if self.headed {
            return self.event(at, Code::Resize, data, style);
        }
        self.head(size, style)?;
        Ok(Taken::Yes)
    }

    fn exit(&mut self, at: Timestamp, data: &[u8], style: &Style) -> Result<Taken, Error> {
        let status = String::from_utf8_lossy(data).into_owned();
        self.rest(style)?;
        // Readers want a number; version 2 does not know the code.
        let fits = style.version == Version::Three && status.parse::<i32>().is_ok();
        if fits {
            self.event(at, Code::Exit, data, style)?;
        }
        self.facts.exit_status = Some(status);
        Ok(if fits || self.sidecar.is_some() { Taken::Ended } else { Taken::EndedLeftOut })
    }

    fn event(&mut self, at: Timestamp, code: Code, data: &[u8], style: &Style) -> Result<Taken, Error> {
        if !self.headed {
            self.head(style.size, style)?;
        }
        let since = nanos(at, self.facts.started_at);
        let (encoder, mut written) = (&mut self.encoder, false);
        self.cast.append(|out| written = encoder.event(since, code, data, out))?;
        self.facts.events[code as usize] += u64::from(written);
        Ok(Taken::Yes)
    }

    /// Writes the header. The first frame says when the recording began, in whole seconds.
    fn head(&mut self, size: Size, style: &Style) -> Result<(), Error> {
        let seconds = u64::try_from(self.facts.started_at.nanos().div_euclid(1_000_000_000)).unwrap_or(0);
        // A recording whose time nobody knows says nothing of it, rather than 1970.
        let timestamp = Some(seconds).filter(|&seconds| seconds > 0);
        let header = Header { version: style.version, size, timestamp, facts: style.facts.clone() };
        (self.headed, self.facts.size) = (true, size);
        self.cast.append(|out| header.write(out))
    }

    fn told(&mut self, data: &[u8], style: &Style) -> Result<Taken, Error> {
        let Ok(told) = serde_json::from_slice::<Map<String, Value>>(data) else { return Ok(Taken::No) };
        self.facts.told.extend(told);
        self.stale = true;
        self.keep_bytes(style)?;
        Ok(if self.sidecar.is_some() { Taken::Yes } else { Taken::LeftOut })
    }

    /// Makes the files of transfers that the source has told of. Without a sidecar their bytes are text, as
    /// the recording is one file then.
    fn keep_bytes(&mut self, style: &Style) -> Result<(), Error> {
        let facts = &mut self.facts.told;
        let is_bytes = |facts: &Map<String, Value>, key: &str| {
            style.sidecar && facts.get(key).is_some_and(|value| value == "bytes")
        };
        if self.output.is_text() && is_bytes(facts, "output_as") {
            let name = self.output.open(&self.stem, "out", style.host.as_ref())?;
            facts.insert("output_file".to_owned(), name.into());
            self.output.take(&self.encoder.take_waiting(Code::Output))?;
        }
        if style.input && self.input.is_text() && is_bytes(facts, "input_as") {
            let name = self.input.open(&self.stem, "in", style.host.as_ref())?;
            facts.insert("input_file".to_owned(), name.into());
            self.input.take(&self.encoder.take_waiting(Code::Input))?;
        }
        Ok(())
    }

    /// Writes what waits for more that will not come.
    fn rest(&mut self, style: &Style) -> Result<(), Error> {
        if !self.headed {
            self.head(style.size, style)?;
        }
        let since = nanos(self.facts.last_at, self.facts.started_at);
        let (encoder, events) = (&mut self.encoder, &mut self.facts.events);
        self.cast.append(|out| encoder.finish(since, out, |code| events[code as usize] += 1))
    }

    /// Brings the sidecar up to date, if the source has told something since.
    fn refresh(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.stale)
            && let Some(sidecar) = &self.sidecar
        {
            sidecar.write(&self.facts)?;
        }
        Ok(())
    }
}

fn nanos(at: Timestamp, begin: Timestamp) -> u64 {
    u64::try_from(at.nanos().saturating_sub(begin.nanos())).unwrap_or(0)
}
