//! Splits JSON lines into keys and values, without reading the values. Knows nothing of what they mean.

use tapedeck_kit::json::Pairs;
use tapedeck_sdk::HEAD_BYTES;

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
    let object: Option<Pairs<'_>> =
        std::str::from_utf8(first).ok().and_then(|line| serde_json::from_str(line).ok());
    object.is_some_and(|Pairs(pairs)| {
        let has = |name: &str| pairs.iter().any(|(key, _)| key == name);
        first.starts_with(b"{") && !(has("version") && (has("width") || has("term")))
    })
}
