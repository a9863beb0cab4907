//! Text of others (names, messages, values of files, processes and plugins) as it may be shown on a terminal or in a log: nothing in it
//! moves the cursor, sets a title, hides or turns what stands beside it. Knows no terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts on a terminal or on its neighbours instead of being seen: the control characters C0, DEL and C1
/// (ECMA-48), line and paragraph separators, and those that set the direction of text (Unicode UAX #9).
#[must_use]
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of several lines, with active characters but line feed and tab spelled out: `\u{1b}`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    spelled(text, |c| is_active(c) && c != '\n' && c != '\t')
}

/// A name or value that stands within a line: with all active characters spelled out, also `\n` and `\t`.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    spelled(text, is_active)
}

/// JSON text with active characters as JSON's own escapes: still the same value.
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let active = |c: char| is_active(c) && c != '\n';
    if !json.contains(active) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if active(c) {
            // All of them are in the basic plane: one escape each.
            write!(text, "\\u{:04x}", u32::from(c)).expect("writing into a string never fails");
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

fn spelled(text: &str, active: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&active) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if active(c) { spelled.extend(c.escape_default()) } else { spelled.push(c) }
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_spelled_out_and_the_rest_is_left_alone() {
        assert!(matches!(visible("naïve „日本“ 🎮\n\tline"), Cow::Borrowed(_)));
        assert_eq!(visible("a\u{1b}]0;t\u{7}\r\nb"), "a\\u{1b}]0;t\\u{7}\\r\nb");
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\tc");
        for c in ['\u{9b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}', '\u{85}'] {
            assert!(!visible(&format!("x{c}y")).contains(c), "{c:?}");
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "name\u{202e}": "a\u{9b}31m\u{7f}\nb" });
        let json = serde_json::to_string(&value).unwrap();
        let shown = visible_json(&json);
        assert!(!shown.contains(is_active), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
