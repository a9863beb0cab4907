//! Numbers, times and recorded values as short texts that do nothing to a terminal. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tapedeck_engine::at::value;
use tapedeck_sdk::batch::Column;
use tapedeck_sdk::{Batch, DataType};

/// The longest value and the longest name that are shown whole, in characters.
const VALUE_CHARS_MAX: usize = 24;
/// So many bytes of a value are shown.
const BYTES_MAX: usize = 8;

/// The values of a row, as many as fit into so many characters.
pub(super) fn values(batch: &Batch, row: usize, width: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    let fields = batch.schema().payload();
    for (index, (field, column)) in fields.iter().zip(batch.columns()).enumerate() {
        let one = format!("{}={}", short(&field.name), cell(column, row));
        let gap = if index == 0 { "" } else { "  " };
        // The last one needs no room for what says that there are more.
        let more = if index + 1 == fields.len() { 0 } else { 3 };
        let chars = gap.len() + one.chars().count();
        if used + chars + more > width {
            text.push_str(gap);
            text.push('…');
            break;
        }
        used += chars;
        text.push_str(gap);
        text.push_str(&one);
    }
    text
}

/// One value.
fn cell(column: Column<'_>, row: usize) -> String {
    if column.is_null(row) {
        return "-".to_owned();
    }
    match column.data_type() {
        DataType::Utf8 => short(column.str_at(row)),
        DataType::Binary | DataType::FixedBinary(_) => {
            let bytes = column.bytes_at(row);
            let shown = bytes.iter().take(BYTES_MAX).fold("0x".to_owned(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("writing into a string never fails");
                text
            });
            if bytes.len() > BYTES_MAX { format!("{shown}… ({} bytes)", bytes.len()) } else { shown }
        }
        _ => match value(column, row) {
            Value::String(text) => text,
            number => number.to_string(),
        },
    }
}

/// A text without anything that a terminal would take as a command, and cut.
pub(super) fn short(text: &str) -> String {
    let mut shown = String::new();
    let mut used = 0;
    for char in text.chars() {
        let one: String = if is_plain(char) { char.into() } else { char.escape_default().collect() };
        used += one.chars().count();
        if used > VALUE_CHARS_MAX {
            shown.push('…');
            break;
        }
        shown.push_str(&one);
    }
    shown
}

/// Whether a character is one that is seen and changes nothing else: no control character, and none that turns the direction of text.
fn is_plain(char: char) -> bool {
    let is_format = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !char.is_control() && !is_format
}

/// A position: `1:02:03.456`, or without the hours.
pub(super) fn position(at: Duration) -> String {
    let (seconds, millis) = (at.as_secs(), at.subsec_millis());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{millis:03}")
    } else {
        format!("{minutes}:{seconds:02}.{millis:03}")
    }
}

/// The first so many characters of a line.
pub(super) fn cut(line: &str, width: usize) -> &str {
    line.char_indices().nth(width).map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_does_nothing_to_a_terminal_and_is_cut() {
        assert_eq!(short("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(short("\u{9b}2J \u{202e}é✓"), "\\u{9b}2J \\u{202e}é✓");
        assert_eq!(short(&"x".repeat(25)), format!("{}…", "x".repeat(24)));
        assert_eq!(short(&"x".repeat(24)), "x".repeat(24));
        assert_eq!(cut("é✓x", 2), "é✓");
        assert_eq!(cut("é", 2), "é");
    }

    #[test]
    fn positions_have_hours_only_where_there_are_some() {
        let at = |millis| position(Duration::from_millis(millis));
        assert_eq!([at(0), at(61_005), at(3_661_005)], ["0:00.000", "1:01.005", "1:01:01.005"]);
    }
}
