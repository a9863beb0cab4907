//! Places and order.

use super::*;

#[test]
fn a_position_counts_lines_and_characters_from_one() {
    let source = SourceText::new("x", "ab\n\u{e9}\u{e9}x\n");
    assert_eq!(source.position(0), Position { line: 1, column: 1 });
    assert_eq!(source.position(7), Position { line: 2, column: 3 });
    assert_eq!(source.position(4), Position { line: 2, column: 1 }, "inside of a character is its beginning");
    assert_eq!(source.position(1_000), Position { line: 3, column: 1 });
}

#[test]
fn positions_in_a_long_text_are_those_that_counting_gives() {
    let text = "é\n".repeat(700) + &"xé".repeat(2_000) + "\nend";
    let source = SourceText::new("x", text.clone());
    for byte in (0..text.len() + 2).step_by(7) {
        let before = &text[..text.floor_char_boundary(byte)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let position = Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 };
        assert_eq!(source.position(byte), position, "at byte {byte}");
        assert_eq!(source.line_start(byte), before.len() - line.len(), "at byte {byte}");
    }
}

#[test]
fn a_span_is_cut_to_its_first_line_and_to_whole_characters() {
    let source = SourceText::new("x", "ab\r\n\u{e9}x");
    assert_eq!(source.clamp(&(0..100)), 0..2);
    assert_eq!(source.clamp(&(5..6)), 4..6);
    assert_eq!(source.clamp(&(50..60)), 7..7);
    assert_eq!(source.slice(&(5..6)), "", "no whole character");
}

#[test]
fn codes_are_told_apart_and_a_warning_begins_with_w() {
    let numbers: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.number()).collect();
    assert_eq!(numbers.len(), Code::ALL.len());
    assert_eq!(Code::Unread.severity(), Severity::Warning);
    assert_eq!(Code::Syntax.severity(), Severity::Error);
}

#[test]
fn diagnostics_are_sorted_by_place_and_said_once() {
    let mut diagnostics = Diagnostics::new(Arc::new(SourceText::new("x", "abc")));
    for at in [2, 0, 1, 0] {
        diagnostics.push(Diagnostic::new(Code::Syntax, at..at + 1, format!("at {at}")));
    }
    let messages: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(messages, ["at 0", "at 1", "at 2"]);
}

#[test]
fn control_characters_of_a_message_do_not_reach_the_terminal() {
    let mut diagnostics = Diagnostics::new(Arc::new(SourceText::new("x", "a\u{1b}[31mb")));
    diagnostics
        .push(Diagnostic::new(Code::Syntax, 0..1, "no \u{1b}[31mred").hint("\u{7}beep").label("\u{1b}c"));
    assert!(!diagnostics.render(Style::Plain).contains(['\u{1b}', '\u{7}']));
}
