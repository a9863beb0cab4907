//! The events of a binary file: pickles behind their lengths, which are read and not executed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tapedeck_kit::tas::{check_state, check_type};

use crate::event::check_time;
use crate::facts::{Facts, unknown_version};
use crate::pickled::{Pickled, table};
use crate::rows::{Events, InHand, Next};
use crate::writer::{BINARY_VERSION, MAGIC};

/// The most bytes of a pickle.
const BLOCK_BYTES_MAX: u32 = 256 << 20;
const BUFFER_BYTES: usize = 128 << 10;

/// A file that is read event by event.
pub(crate) struct Binary {
    file: BufReader<File>,
    /// Where the next event begins.
    at: u64,
    begin: u64,
    /// Where the first event begins, and how many there are.
    first: u64,
    count: u64,
    /// Where the events end, as far as that is known.
    end: Option<u64>,
    /// Whether there is nothing more that can be read.
    ended: bool,
    facts: Facts,
    headless: Option<String>,
    block: Vec<u8>,
    trusted: bool,
}

/// What a place has.
enum Block {
    Whole,
    /// The file ends there, or in it.
    Torn,
    Large(u32),
}

impl Binary {
    /// Opens a file and reads what is around its events.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut binary = Self {
            file: BufReader::with_capacity(BUFFER_BYTES, File::open(path)?),
            at: 0,
            begin: 0,
            first: 0,
            count: 0,
            end: None,
            ended: false,
            facts: Facts::default(),
            headless: None,
            block: Vec::new(),
            trusted: false,
        };
        binary.headless = binary.head()?.err();
        if binary.headless.is_none() {
            binary.tail()?;
            binary.go_to(binary.first)?;
        }
        binary.ended = binary.headless.is_some();
        Ok(binary)
    }

    /// Why the file is no recording.
    pub(crate) fn headless(&self) -> Option<&str> {
        self.headless.as_deref()
    }

    fn head(&mut self) -> io::Result<Result<(), String>> {
        let torn = || "it ends before its first event".to_owned();
        let mut magic = [0; 4];
        if !filled(&mut self.file, &mut magic)? || &magic != MAGIC {
            return Ok(Err("it does not begin with LMSP".to_owned()));
        }
        let Some(version) = self.number()? else { return Ok(Err(torn())) };
        if version != BINARY_VERSION {
            return Ok(Err(unknown_version(&version.into())));
        }
        self.at = 8;
        if !matches!(self.read_block()?, Block::Whole) {
            return Ok(Err(torn()));
        }
        let taken = self.take_table().map_err(|why| format!("its facts can't be read: it {why}"));
        if taken.is_err() {
            return Ok(taken);
        }
        let Some(count) = self.number()? else { return Ok(Err(torn())) };
        self.at += 4;
        (self.first, self.count) = (self.at, count.into());
        Ok(Ok(()))
    }

    /// Reads what stands behind the events, passing over them. Of a file that was cut there is nothing.
    fn tail(&mut self) -> io::Result<()> {
        for _ in 0..self.count {
            let Some(length) = self.number()? else { return Ok(()) };
            self.file.seek_relative(length.into())?;
            self.at += 4 + u64::from(length);
        }
        self.end = Some(self.at);
        if !matches!(self.read_block()?, Block::Whole) {
            return Ok(());
        }
        if let Ok(pairs) = table(&self.block) {
            let all: serde_json::Map<String, serde_json::Value> = pairs
                .into_iter()
                .filter_map(|(name, index)| Some((name, index.parse::<u64>().ok()?.into())))
                .collect();
            // Built of numbers: it can be read.
            _ = self.facts.take("checkpoints", &serde_json::Value::Object(all).to_string());
        }
        // Ours say more; what somebody else has put there is passed over.
        if matches!(self.read_block()?, Block::Whole) {
            _ = self.take_table();
        }
        Ok(())
    }

    fn take_table(&mut self) -> Result<(), String> {
        for (key, value) in table(&self.block)? {
            self.facts.take(&key, &value)?;
        }
        Ok(())
    }

    fn number(&mut self) -> io::Result<Option<u32>> {
        let mut bytes = [0; 4];
        Ok(filled(&mut self.file, &mut bytes)?.then(|| u32::from_le_bytes(bytes)))
    }

    /// Reads the block at hand.
    fn read_block(&mut self) -> io::Result<Block> {
        let Some(length) = self.number()? else { return Ok(Block::Torn) };
        if length > BLOCK_BYTES_MAX {
            return Ok(Block::Large(length));
        }
        self.block.clear();
        let read = (&mut self.file).take(length.into()).read_to_end(&mut self.block)?;
        self.at += 4 + read as u64;
        Ok(if read as u64 == u64::from(length) { Block::Whole } else { Block::Torn })
    }
}

/// Fills the bytes; false where the file ends before.
fn filled(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl Events for Binary {
    fn next(&mut self, hand: &mut InHand) -> io::Result<Next> {
        // Of a file that was cut nobody knows whether the count is right: what is there is read.
        if self.ended || self.end.is_some_and(|end| self.at >= end) {
            return Ok(Next::End);
        }
        self.begin = self.at;
        let wrong = match self.read_block()? {
            Block::Whole => None,
            Block::Torn => Some("can't be read: the file ends before the recording does".to_owned()),
            Block::Large(length) => Some(format!("claims {length} bytes")),
        };
        self.ended = wrong.is_some();
        if let Some(wrong) = wrong {
            return Ok(Next::Bad(wrong));
        }
        let trusted = self.trusted;
        let read = Pickled::read(&self.block).and_then(|event| {
            check_time(event.timestamp)?;
            check_type(&event.kind)?;
            if !trusted {
                let state = std::str::from_utf8(&event.state).map_err(|error| error.to_string())?;
                check_state(state)?;
            }
            Ok(event)
        });
        Ok(match read {
            Ok(Pickled { timestamp, kind, player_id, data, state }) => {
                *hand = InHand { timestamp, kind, player_id, data, state, plain: true };
                Next::Event
            }
            Err(why) => Next::Bad(why),
        })
    }

    fn begin(&self) -> u64 {
        self.begin
    }

    fn go_to(&mut self, byte: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(byte))?;
        (self.at, self.ended) = (byte, false);
        Ok(())
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn trust(&mut self) {
        self.trusted = true;
    }
}
