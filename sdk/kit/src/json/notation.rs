//! JSON texts in another notation: all in ASCII as Python writes it, indented or not, or with every character as it is. Knows nothing of
//! what a text says, which must be JSON.

use std::io::Write as _;

/// How a text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without a space.
    Compact,
    /// With two spaces a level, as `json.dumps(…, indent=2)` has it.
    Indented,
}

/// Adds a text in ASCII, as Python's `json` does. `depth` is the level that it stands on.
pub fn put_ascii(text: &[u8], layout: Layout, depth: usize, out: &mut Vec<u8>) {
    put(text, layout, depth, ascii, out);
}

/// Adds a text without spaces, each character as it is: one notation for every value.
pub fn put_plain(text: &[u8], out: &mut Vec<u8>) {
    put(text, Layout::Compact, 0, plain, out);
}

/// Begins a line on a level.
pub fn put_line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 2));
}

fn put(text: &[u8], layout: Layout, mut depth: usize, string: fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
    let indented = layout == Layout::Indented;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'"' => {
                let end = string_end(text, at);
                out.push(b'"');
                string(&text[at..end], out);
                out.push(b'"');
                at = end + 1;
            }
            b'{' | b'[' => {
                out.push(byte);
                let rest = text[at..].iter().position(|byte| !byte.is_ascii_whitespace());
                let next = rest.map_or(at, |rest| at + rest);
                if matches!(text.get(next), Some(b'}' | b']')) {
                    out.push(text[next]);
                    at = next + 1;
                } else if indented {
                    depth += 1;
                    put_line(depth, out);
                }
            }
            b'}' | b']' => {
                if indented {
                    depth = depth.saturating_sub(1);
                    put_line(depth, out);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                if indented {
                    put_line(depth, out);
                }
            }
            b':' => out.extend_from_slice(if indented { b": " } else { b":" }),
            _ => out.push(byte),
        }
    }
}

/// Where the string ends whose content begins at `at`: the place of its closing quote.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// Adds the content of a string in ASCII.
fn ascii(content: &[u8], out: &mut Vec<u8>) {
    if content.is_ascii() {
        return out.extend_from_slice(content);
    }
    for character in String::from_utf8_lossy(content).chars() {
        if character.is_ascii() {
            out.push(u32::from(character).to_le_bytes()[0]);
        } else {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| put_unit(*unit, out));
        }
    }
}

fn put_unit(unit: u16, out: &mut Vec<u8>) {
    write!(out, "\\u{unit:04x}").expect("memory takes it");
}

/// Adds the content of a string with every character as it is that may stand so.
fn plain(content: &[u8], out: &mut Vec<u8>) {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[escape(rest, out)..];
    }
    out.extend_from_slice(rest);
}

/// Adds the character of the escape that a text begins with. Returns how long the escape is.
fn escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(unit) = unit(text) else {
        match text.get(1) {
            Some(b'/') => out.push(b'/'),
            _ => out.extend_from_slice(&text[..text.len().min(2)]),
        }
        return text.len().min(2);
    };
    let pair = unit_after(text).map(|low| [unit, low]);
    let paired =
        pair.and_then(|pair| char::decode_utf16(pair).next()?.ok()).filter(|c| u32::from(*c) > 0xffff);
    match (paired, char::from_u32(unit.into())) {
        (Some(character), _) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return 12;
        }
        (None, Some(character)) => put_character(character, out),
        // Half of a pair, which only an escape can say.
        (None, None) => put_unit(unit, out),
    }
    6
}

/// Adds a character in the shortest notation that a string may have.
pub fn put_character(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        other if other < ' ' => put_unit(u32::from(other).to_le_bytes()[0].into(), out),
        other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Adds half of a pair, as an escape.
pub fn put_half(unit: u16, out: &mut Vec<u8>) {
    put_unit(unit, out);
}

/// The UTF-16 unit of an escape `\uXXXX` that a text begins with.
#[must_use]
pub fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn unit_after(text: &[u8]) -> Option<u16> {
    unit(text.get(6..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_laid_out_as_python_does() {
        let text = "{\"a\":[1,2.50,{}],\"é\": [ ],\"b\":{\"c\" :\"x\\ny\u{1f600}\"}}";
        let mut out = Vec::new();
        put_ascii(text.as_bytes(), Layout::Compact, 0, &mut out);
        let compact = r#"{"a":[1,2.50,{}],"\u00e9":[],"b":{"c":"x\ny\ud83d\ude00"}}"#;
        assert_eq!(String::from_utf8_lossy(&out), compact);
        let mut back = Vec::new();
        put_plain(&out, &mut back);
        assert_eq!(String::from_utf8_lossy(&back), text.replace(": [ ]", ":[]").replace(" :", ":"));
        out.clear();
        put_ascii(text.as_bytes(), Layout::Indented, 1, &mut out);
        let indented = "{\n    \"a\": [\n      1,\n      2.50,\n      {}\n    ],\n    \"\\u00e9\": [],\n    \"b\": {\n      \"c\": \"x\\ny\\ud83d\\ude00\"\n    }\n  }";
        assert_eq!(String::from_utf8_lossy(&out), indented);
    }

    #[test]
    fn every_escape_has_one_plain_notation() {
        for (text, expected) in [
            (r#""\u0041\/\u000a\u0001\"\\""#, r#""A/\n\u0001\"\\""#),
            (r#""\ud83d\ude00\ud83dx\ude00""#, "\"😀\\ud83dx\\ude00\""),
            (r#""\u00E9""#, "\"é\""),
        ] {
            let mut out = Vec::new();
            put_plain(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
