//! Prints: text of others can't steer the terminal. A reader that closes its end (`| head`) is no error.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use tapedeck_engine::diagnostic::{Diagnostics, Style};
use tapedeck_sdk::Error;
use tapedeck_sdk::visible::{one_line, visible, visible_json};

/// Prints text to standard output.
pub(crate) fn print(text: &str) {
    // Nothing is left to tell it to when the reader is gone.
    let mut out = std::io::stdout().lock();
    drop(out.write_all(visible(text).as_bytes()).and_then(|()| out.flush()));
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) {
    let mut line = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    line.push('\n');
    print(&visible_json(&line));
}

/// A name, a path or a value within a line.
pub(crate) fn word(value: impl std::fmt::Display) -> String {
    one_line(&value.to_string()).into_owned()
}

/// A message within a text: its further lines are set in, so that none passes for a line of ours.
pub(crate) fn message(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// Prints text to standard error.
pub(crate) fn print_error_text(text: &str) {
    print_styled(&visible(text));
}

/// Prints a line to standard error that takes the place of the one before; an empty one takes it away.
pub(crate) fn renew_line(text: &str) {
    print_styled(&format!("\r\x1b[K{}", one_line(text)));
}

/// Prints text whose colours are ours.
fn print_styled(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()));
}

/// Prints an error and its hint: to standard error, or as JSON to standard output.
pub(crate) fn print_error(error: &Error, json: bool) {
    if json {
        return print_json(&serde_json::json!({ "error": error }));
    }
    // A message of several lines can't pass for a message of its own.
    let mut text = format!("error: {}\n", message(&error.message));
    if let Some(hint) = &error.hint {
        text.push_str(&format!("  hint: {}\n", message(hint)));
    }
    print_error_text(&text);
}

/// Prints a warning to standard error.
pub(crate) fn print_warning(message: &str, hint: Option<&str>) {
    let hint = hint.map_or(String::new(), |hint| format!("  hint: {}\n", self::message(hint)));
    print_error_text(&format!("warning: {}\n{hint}", self::message(message)));
}

/// How many of many names are listed.
const LISTED_MAX: usize = 5;

/// The first few of many names, and how many more there are.
pub(crate) fn some_of(names: impl ExactSizeIterator<Item = String>) -> String {
    first_of(LISTED_MAX, names)
}

/// The same with another limit.
pub(crate) fn first_of(listed_max: usize, mut names: impl ExactSizeIterator<Item = String>) -> String {
    let all = names.len();
    // One more takes no more room than to say that there is one.
    let shown = if all > listed_max + 1 { listed_max } else { all };
    let mut text = names.by_ref().take(shown).map(word).collect::<Vec<_>>().join(", ");
    if all > shown {
        text.push_str(&format!(" and {} more", thousands((all - shown) as u64)));
    }
    text
}

/// Prints what is wrong with a pipeline.
pub(crate) fn print_diagnostics(diagnostics: &Diagnostics, json: bool) {
    if json {
        return print_json(&serde_json::json!({ "diagnostics": diagnostics }));
    }
    let style = if std::io::stderr().is_terminal() { Style::Coloured } else { Style::Plain };
    print_styled(&diagnostics.render(style));
}

/// A table without lines: the first column and those named in `left` are flush left, the rest flush right.
pub(crate) fn table(header: &[&str], left: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| one_line(cell))));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if !left.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Bytes with a unit: `2.4 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut number = to_f64(bytes);
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {}", units[unit]) }
}

/// A number with separators: `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds with a unit: `16.7 ms`.
pub(crate) fn nanos(nanos: u64) -> String {
    let number = to_f64(nanos);
    let mut text = String::new();
    let written = match nanos {
        0..1_000 => write!(text, "{nanos} ns"),
        1_000..1_000_000 => write!(text, "{:.1} µs", number / 1e3),
        1_000_000..1_000_000_000 => write!(text, "{:.2} ms", number / 1e6),
        _ => write!(text, "{:.2} s", number / 1e9),
    };
    written.expect("writing into a string never fails");
    text
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}
