//! Splits JSON lines into keys and values, without reading the values. Knows nothing of what they mean.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tapedeck_sdk::HEAD_BYTES;

/// One line: the keys of its object, in order, and their values as they stand there.
pub(crate) struct Object<'line>(pub(crate) Vec<(Cow<'line, str>, &'line RawValue)>);

impl<'de: 'line, 'line> Deserialize<'de> for Object<'line> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, _>()? {
                    pairs.push((key.0, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

/// A key, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'line>(#[serde(borrow)] Cow<'line, str>);

/// How each line of ours begins.
const LEAD: &[u8] = b"{\"seq\":";

/// Whether the first bytes of a file are those of JSON lines: its first line is an object, and the second, if there is one, begins
/// like one. An object over several lines, such as a configuration, is none, nor is the header of an asciicast.
pub(crate) fn begins_as_lines(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some_and(|second| !second.is_empty() && !matches!(second, [b'{' | b'\r', ..])) {
        return false;
    }
    // A line that is longer than the head can't be told from a document, but that ours begin as no other does.
    if first.len() == HEAD_BYTES {
        return first.starts_with(LEAD);
    }
    let object: Option<Object<'_>> =
        std::str::from_utf8(first).ok().and_then(|line| serde_json::from_str(line).ok());
    object.is_some_and(|Object(pairs)| {
        let has = |name: &str| pairs.iter().any(|(key, _)| key == name);
        first.starts_with(b"{") && !(has("version") && (has("width") || has("term")))
    })
}
