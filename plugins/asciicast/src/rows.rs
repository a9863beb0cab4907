//! The events of a recording as rows, the first of which is the size of the terminal. Knows nothing of how text becomes events.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use tapedeck_kit::lines::{Ending, Found, LINE_BYTES_MAX, LineReader, Place, RowReader, Step};
use tapedeck_sdk::kinds::terminal::Code;
use tapedeck_sdk::{RowWriter, StreamSchema};

use crate::decode::{self, Line, NoHeader};
use crate::header::{Header, Version};

/// What comes after the header.
enum Events<R> {
    /// Lines of version 2 or 3, to be read one by one. The second is where they begin.
    Lines(LineReader<R>, (u64, u64)),
    /// The outputs of a version 1 document, and how many of them are passed.
    Outputs(Vec<(u64, String)>, usize),
    /// None: there is no whole header before them.
    Headless(Ending),
}

/// Which row is in hand.
enum InHand {
    /// None yet.
    Nothing,
    /// The size, which stands in the header.
    Size,
    Event,
}

/// A column of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Connection,
    Code,
    Data,
}

/// The rows of a recording.
pub(crate) struct CastRows<R> {
    header: Option<Header>,
    events: Events<R>,
    connection: String,
    chosen: Vec<Column>,
    in_hand: InHand,
    /// When the recording began and when the row in hand was, in nanoseconds since 1970.
    start: i64,
    now: i64,
    code: Code,
    data: String,
}

impl<R: BufRead + Seek> CastRows<R> {
    /// Reads the header. The inner error says why the file is no asciicast.
    pub(crate) fn new(input: R, connection: &str) -> io::Result<Result<Self, String>> {
        Ok(begin(input)?.map(|(header, events)| {
            let start = header.as_ref().and_then(|header| header.timestamp).unwrap_or(0);
            let start = nanos(start.saturating_mul(1_000_000_000));
            Self {
                header,
                events,
                connection: connection.to_owned(),
                chosen: Vec::new(),
                in_hand: InHand::Nothing,
                start,
                now: start,
                code: Code::Resize,
                data: String::new(),
            }
        }))
    }

    /// The header, if the file has a whole one.
    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Goes on to the next event.
    fn advance_event(&mut self) -> io::Result<Step> {
        let lines = match &mut self.events {
            Events::Lines(lines, _) => lines,
            Events::Outputs(outputs, passed) => {
                let Some((delay, text)) = outputs.get(*passed) else { return Ok(Step::End(Ending::Whole)) };
                *passed += 1;
                self.now = self.now.saturating_add(nanos(*delay));
                self.code = Code::Output;
                text.clone_into(&mut self.data);
                return Ok(Step::Row { seq: None, time: self.now });
            }
            Events::Headless(ending) => return Ok(Step::End(ending.clone())),
        };
        loop {
            let found = lines.advance()?;
            let (byte, _) = lines.begin();
            let event = match found {
                Found::End => return Ok(Step::End(Ending::Whole)),
                Found::Malformed(why) => Err(why.to_owned()),
                Found::Line { .. } => event(lines.bytes()),
            };
            let event = match event {
                Ok(Line::Event(event)) => event,
                Ok(Line::Ignored) => continue,
                // An event is whole or it is not: a last one that is whole counts, whether or not its line end was written.
                Err(_) if found == (Found::Line { ended: false }) => {
                    return Ok(Step::End(Ending::Torn(byte)));
                }
                Err(why) => return Ok(Step::Bad(format!("can't be read: {why}"))),
            };
            let absolute = self.header.as_ref().is_some_and(|header| header.version == Version::Two);
            let since = if absolute { self.start } else { self.now };
            self.now = since.saturating_add(nanos(event.time)).max(self.now);
            self.code = event.code;
            self.data.clear();
            self.data.push_str(&event.text);
            return Ok(Step::Row { seq: None, time: self.now });
        }
    }
}

/// Reads a line's bytes.
fn event(bytes: &[u8]) -> Result<Line<'_>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at column {}", error.valid_up_to() + 1))?;
    decode::line(text.trim_end())
}

/// A time that a frame can have.
fn nanos(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

type Begin<R> = (Option<Header>, Events<R>);

/// Reads the header of a file.
fn begin<R: BufRead + Seek>(input: R) -> io::Result<Result<Begin<R>, String>> {
    let mut lines = LineReader::new(input);
    let found = lines.advance()?;
    let why = match found {
        Found::Line { .. } => decode::header(lines.text()),
        Found::Malformed(what) => return Ok(Err(format!("line 1 can't be read: {what}"))),
        Found::End => return Ok(Ok((None, Events::Headless(Ending::Whole)))),
    };
    let why = match why {
        Ok(header) => {
            let first = lines.end();
            return Ok(Ok((Some(header), Events::Lines(lines, first))));
        }
        Err(why) => why,
    };
    if found == (Found::Line { ended: false }) && begins_as_ours(lines.bytes()) {
        return Ok(Ok((None, Events::Headless(Ending::Torn(0)))));
    }
    match why {
        NoHeader::Refused(why) => return Ok(Err(why)),
        // A version 1 document may well stand on one line, and may as well not.
        NoHeader::NotJson(why) if !lines.text().starts_with('{') => {
            return Ok(Err(format!("not an asciicast: line 1: {why}")));
        }
        NoHeader::VersionOne | NoHeader::NotJson(_) => {}
    }
    let mut input = lines.into_inner();
    input.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    if input.take(LINE_BYTES_MAX + 1).read_to_end(&mut text)? as u64 > LINE_BYTES_MAX {
        return Ok(Err("not an asciicast: a document longer than 512 MiB".to_owned()));
    }
    let document = std::str::from_utf8(&text)
        .map_err(|_no_text| "not UTF-8".to_owned())
        .and_then(decode::document)
        .map_err(|why| format!("not an asciicast: {why}"));
    Ok(document.map(|(header, outputs)| (Some(header), Events::Outputs(outputs, 0))))
}

/// Whether a file that has no line end can be what a recorder had written of its header when it was killed. A version 1 document is
/// written at once.
fn begins_as_ours(bytes: &[u8]) -> bool {
    const LEAD: &[u8] = b"{\"version\":";
    let mut plain = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    LEAD.iter().all(|byte| plain.next().is_none_or(|found| found == byte))
        && plain.next().is_none_or(|version| matches!(version, b'2' | b'3'))
}

impl<R: BufRead + Seek + Send> RowReader for CastRows<R> {
    fn advance(&mut self) -> io::Result<Step> {
        match (&self.in_hand, &self.header) {
            (InHand::Nothing, Some(header)) => {
                self.in_hand = InHand::Size;
                (self.now, self.code) = (self.start, Code::Resize);
                self.data = header.size.to_string();
                Ok(Step::Row { seq: None, time: self.now })
            }
            _ => {
                self.in_hand = InHand::Event;
                self.advance_event()
            }
        }
    }

    fn begin(&self) -> (u64, u64) {
        match (&self.events, &self.in_hand) {
            (Events::Lines(lines, _), InHand::Event) => lines.begin(),
            _ => (0, 1),
        }
    }

    fn go_to(&mut self, place: &Place) -> io::Result<()> {
        self.in_hand = if place.row == 0 { InHand::Nothing } else { InHand::Event };
        self.now = place.time_before.max(self.start);
        match &mut self.events {
            Events::Lines(lines, first) => {
                lines.go_to(if place.row == 0 { *first } else { (place.byte, place.line) })?;
            }
            Events::Outputs(_, passed) => {
                *passed = usize::try_from(place.row.saturating_sub(1)).unwrap_or(usize::MAX);
            }
            Events::Headless(_) => {}
        }
        Ok(())
    }

    fn choose(&mut self, schema: &StreamSchema) {
        let column = |name: &str| match name {
            "connection" => Column::Connection,
            "code" => Column::Code,
            _ => Column::Data,
        };
        self.chosen = schema.payload().iter().map(|field| column(&field.name)).collect();
    }

    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        for (index, column) in self.chosen.iter().enumerate() {
            match column {
                Column::Connection => writer.set_str(index, &self.connection),
                Column::Code => writer.set_str(index, self.code.letter()),
                Column::Data => writer.set_bytes(index, self.data.as_bytes()),
            };
        }
        Some(())
    }
}
