//! Reads the lines of asciicast files, and version 1 documents. Pure: text in, events out. Knows nothing of files or frames.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tapedeck_kit::lines::json_reason;
use tapedeck_sdk::kinds::terminal::Code;

use crate::encode::event_code;
use crate::header::{Header, Version};
use crate::seconds;

/// What an event's line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'line> {
    /// Nanoseconds: since the start in version 2, since the event before in version 3.
    pub(crate) time: u64,
    pub(crate) code: Code,
    pub(crate) text: Cow<'line, str>,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'line> {
    Event(Event<'line>),
    /// A comment, or an event whose code is not known.
    Ignored,
}

/// The parts of an event as they stand there. More parts than three are ignored.
struct Parts<'line> {
    time: &'line RawValue,
    code: Cow<'line, str>,
    data: Option<&'line RawValue>,
}

impl<'de: 'line, 'line> Deserialize<'de> for Parts<'line> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Parts<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an event: [time, code, data]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let missing = |length| serde::de::Error::invalid_length(length, &"[time, code, data]");
                let time = elements.next_element()?.ok_or_else(|| missing(0))?;
                let code = elements.next_element::<Letter<'de>>()?.ok_or_else(|| missing(1))?.0;
                let data = elements.next_element()?;
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parts { time, code, data })
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

#[derive(serde::Deserialize)]
struct Letter<'line>(#[serde(borrow)] Cow<'line, str>);

/// Reads one line of a version 2 or 3 file that is not the first.
pub(crate) fn line(text: &str) -> Result<Line<'_>, String> {
    if text.starts_with('#') {
        return Ok(Line::Ignored);
    }
    let parts: Parts<'_> = serde_json::from_str(text).map_err(|error| json_reason(&error))?;
    let Some(code) = event_code(&parts.code) else { return Ok(Line::Ignored) };
    let time =
        seconds::parse(parts.time.get()).ok_or_else(|| at("its time is not a number", text, parts.time))?;
    let data = parts.data.ok_or_else(|| format!("it has no data at column {}", text.len()))?;
    let data = string(data.get()).ok_or_else(|| at("its data is not text", text, data))?;
    Ok(Line::Event(Event { time, code, text: data }))
}

/// What is wrong with a part of a line, and where it stands.
fn at(what: &str, line: &str, part: &RawValue) -> String {
    let column = part.get().as_ptr().addr().saturating_sub(line.as_ptr().addr()) + 1;
    format!("{what} at column {column}")
}

/// The content of a JSON string. Half a surrogate pair, which some recorders leave behind, is U+FFFD.
fn string(json: &str) -> Option<Cow<'_, str>> {
    if let Ok(Letter(text)) = serde_json::from_str(json) {
        return Some(text);
    }
    let Loose(bytes) = serde_json::from_str(json).ok()?;
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The bytes of a string, where `serde_json` allows half a surrogate pair.
struct Loose(Vec<u8>);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

/// Why a line is no header of version 2 or 3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// It is no JSON object: the reason. A version 1 document may go on in the next line.
    NotJson(String),
    /// It has the whole document.
    VersionOne,
    /// It is an object, and no header: the reason.
    Refused(String),
}

/// Reads the first line of a version 2 or 3 file.
pub(crate) fn header(text: &str) -> Result<Header, NoHeader> {
    let header: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| NoHeader::NotJson(json_reason(&error)))?;
    match Header::parse(&header).map_err(NoHeader::Refused)? {
        Header { version: Version::One, .. } => Err(NoHeader::VersionOne),
        header => Ok(header),
    }
}

/// Reads a version 1 document: its header, and what was put out when, in nanoseconds since the output before.
pub(crate) fn document(text: &str) -> Result<(Header, Vec<(u64, String)>), String> {
    #[derive(serde::Deserialize)]
    struct Output<'text> {
        #[serde(borrow)]
        stdout: Vec<(&'text RawValue, &'text RawValue)>,
    }
    let document: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let header = Header::parse(&document)?;
    if header.version != Version::One {
        return Err("not a version 1 document".to_owned());
    }
    let Output { stdout } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let output = |(delay, data): &(&RawValue, &RawValue)| {
        Some((seconds::parse(delay.get())?, string(data.get())?.into_owned()))
    };
    let stdout: Option<Vec<_>> = stdout.iter().map(output).collect();
    Ok((header, stdout.ok_or("its output is no list of [delay, text]")?))
}

/// Whether the first bytes of a file are those of an asciicast, of whatever version: an object that has a version and a size.
pub(crate) fn begins_as_asciicast(head: &[u8]) -> bool {
    /// What was seen of the object before the bytes end.
    #[derive(Default)]
    struct Seen {
        version: bool,
        size: bool,
    }
    impl<'de> Visitor<'de> for &mut Seen {
        type Value = ();
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(Letter(key)) = map.next_key::<Letter<'de>>()? {
                self.size |= matches!(&*key, "width" | "term");
                if key == "version" {
                    self.version = map.next_value::<Value>()?.is_u64();
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(())
        }
    }
    let mut seen = Seen::default();
    // A header that is longer than the head breaks off.
    drop(serde_json::Deserializer::from_slice(head).deserialize_map(&mut seen));
    seen.version && seen.size
}
