//! The events of a JSON document, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::event::Recorded;
use crate::facts::Facts;
use crate::rows::{Events, InHand, Next};
use crate::scanner::{Fault, Scanner};

const BUFFER_BYTES: usize = 128 << 10;

type Bytes = Box<dyn BufRead + Send>;

/// Where in the document reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Before the list of events.
    Head,
    /// In the list; whether an event was read of it.
    List {
        first: bool,
    },
    End,
}

/// A document that is read event by event.
pub(crate) struct Document {
    /// Another handle of the same file.
    file: File,
    gzip: bool,
    scanner: Scanner<Bytes>,
    place: Where,
    facts: Facts,
    /// What is wrong with the head.
    headless: Option<String>,
    raw: Vec<u8>,
    begin: u64,
    /// Whether everything was read once: the facts are known then.
    complete: bool,
    trusted: bool,
}

fn open(mut file: File, gzip: bool, byte: u64) -> io::Result<Scanner<Bytes>> {
    file.seek(SeekFrom::Start(if gzip { 0 } else { byte }))?;
    let plain = BufReader::with_capacity(BUFFER_BYTES, file);
    if !gzip {
        return Ok(Scanner::new(Box::new(plain), byte));
    }
    let text: Bytes = Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain)));
    let mut scanner = Scanner::new(text, 0);
    match scanner.skip(byte) {
        Ok(()) => Ok(scanner),
        Err(Fault::Io(error)) => Err(error),
        Err(_changed) => Err(io::Error::other("the file has changed while it was read")),
    }
}

impl Document {
    /// Opens a file and reads up to its first event.
    pub(crate) fn open(path: &Path, gzip: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let scanner = open(file.try_clone()?, gzip, 0)?;
        let mut document = Self {
            file,
            gzip,
            scanner,
            place: Where::Head,
            facts: Facts::default(),
            headless: None,
            raw: Vec::new(),
            begin: 0,
            complete: false,
            trusted: false,
        };
        match document.head() {
            Ok(()) => {}
            Err(Fault::Io(error)) => return Err(error),
            Err(Fault::Torn) => document.headless = Some("it ends before its first event".to_owned()),
            Err(Fault::Malformed(what)) => document.headless = Some(what),
        }
        Ok(document)
    }

    /// Why the file is no recording.
    pub(crate) fn headless(&self) -> Option<&str> {
        self.headless.as_deref()
    }

    fn head(&mut self) -> Result<(), Fault> {
        self.scanner.take(b"{")?;
        self.keys(true)
    }

    /// Reads keys and facts up to the list of events, or to the end.
    fn keys(&mut self, first: bool) -> Result<(), Fault> {
        let mut first = first;
        loop {
            if !first && self.scanner.take(b",}")? == b'}' {
                self.place = Where::End;
                return if self.scanner.peek()?.is_none() {
                    Ok(())
                } else {
                    Err(Fault::Malformed(format!(
                        "something follows the recording at byte {}",
                        self.scanner.at()
                    )))
                };
            }
            first = false;
            let key = self.text()?;
            self.scanner.take(b":")?;
            let Ok(key) = serde_json::from_str::<String>(&key) else {
                return Err(Fault::Malformed(format!(
                    "there should be a key before byte {}",
                    self.scanner.at()
                )));
            };
            if key == "events" {
                self.scanner.take(b"[")?;
                self.place = Where::List { first: true };
                return Ok(());
            }
            let value = self.text()?;
            if !self.complete {
                self.facts.take(&key, &value).map_err(Fault::Malformed)?;
            }
        }
    }

    fn text(&mut self) -> Result<String, Fault> {
        let mut raw = Vec::new();
        self.scanner.value(&mut raw)?;
        String::from_utf8(raw).map_err(|_bytes| {
            Fault::Malformed(format!("there is no UTF-8 before byte {}", self.scanner.at()))
        })
    }

    /// Reads the next event's text. False at the end of the list.
    fn event(&mut self, first: bool) -> Result<bool, Fault> {
        self.place = Where::List { first: false };
        if self.scanner.peek()? == Some(b']') || (!first && self.scanner.take(b",]")? == b']') {
            if self.scanner.peek()? == Some(b']') {
                self.scanner.take(b"]")?;
            }
            self.keys(false)?;
            self.complete = true;
            return Ok(false);
        }
        self.scanner.peek()?;
        self.begin = self.scanner.at();
        self.raw.clear();
        self.scanner.value(&mut self.raw)?;
        Ok(true)
    }
}

impl Events for Document {
    fn next(&mut self, hand: &mut InHand) -> io::Result<Next> {
        let Where::List { first } = self.place else { return Ok(Next::End) };
        let bad = match self.event(first) {
            Ok(false) => return Ok(Next::End),
            Ok(true) => match std::str::from_utf8(&self.raw) {
                Ok(text) => Recorded::read(text, self.trusted).map(|event| take(event, hand)),
                Err(_) => Err("is no UTF-8".to_owned()),
            },
            Err(Fault::Io(error)) => return Err(error),
            Err(fault) => {
                self.place = Where::End;
                Err(match fault {
                    Fault::Malformed(what) => format!("can't be read: {what}"),
                    Fault::Torn | Fault::Io(_) => {
                        "can't be read: the file ends before the recording does".to_owned()
                    }
                })
            }
        };
        Ok(bad.map_or_else(Next::Bad, |()| Next::Event))
    }

    fn begin(&self) -> u64 {
        self.begin
    }

    fn go_to(&mut self, byte: u64) -> io::Result<()> {
        // What is compressed is read from its beginning, unless the place is further on.
        if self.gzip && byte >= self.scanner.at() {
            let skip = byte - self.scanner.at();
            match self.scanner.skip(skip) {
                Err(Fault::Io(error)) => return Err(error),
                Ok(()) | Err(Fault::Torn | Fault::Malformed(_)) => {}
            }
        } else {
            self.scanner = open(self.file.try_clone()?, self.gzip, byte)?;
        }
        self.place = Where::List { first: true };
        Ok(())
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn trust(&mut self) {
        self.trusted = true;
    }
}

fn take(event: Recorded<'_>, hand: &mut InHand) {
    hand.timestamp = event.timestamp;
    hand.kind.clear();
    hand.kind.push_str(&event.event.kind.0);
    hand.player_id.clear();
    hand.player_id.push_str(&event.event.player_id.0);
    for (text, raw) in [(&mut hand.data, event.event.data), (&mut hand.state, event.game_state)] {
        text.clear();
        text.extend_from_slice(raw.get().as_bytes());
    }
}
