//! Diagnostics as text in the manner of rustc, and as JSON. Knows nothing of terminals: the caller decides about colour.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};
use tapedeck_sdk::visible::{is_active, one_line, visible};

use super::Span;
use super::{Diagnostic, Diagnostics, Severity, SourceText};

/// The most diagnostics that are shown as text. The JSON form has them all.
const SHOWN_MAX: usize = 100;

/// How many bytes of a line are shown behind a place.
const REST_BYTES_MAX: usize = 512;

/// How the text is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without colour.
    Plain,
    /// With ANSI colours.
    Coloured,
}

/// All diagnostics, an empty line between them, and a line that counts them.
pub(super) fn text(diagnostics: &Diagnostics, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let mut parts: Vec<String> = diagnostics
        .iter()
        .take(SHOWN_MAX)
        .map(|diagnostic| one(&renderer, &diagnostics.source, diagnostic))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    if let Some(more @ 1..) = diagnostics.list.len().checked_sub(SHOWN_MAX) {
        parts.push(format!("… and {more} more"));
    }
    parts.push(format!("{}: {}\n", one_line(&diagnostics.source.name), count(diagnostics)));
    parts.join("\n\n")
}

fn count(diagnostics: &Diagnostics) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (diagnostics.errors(), diagnostics.warnings()) {
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => format!("{} and {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

fn one(renderer: &Renderer, source: &SourceText, diagnostic: &Diagnostic) -> String {
    let message = visible(&diagnostic.message);
    let name = one_line(&source.name);
    let other = diagnostic.other.as_ref().map(|(span, label)| (span, visible(label)));
    let label = diagnostic.label.as_deref().map(visible);
    let hint = diagnostic.hint.as_deref().map(visible);
    let level = match diagnostic.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&*message).id(diagnostic.code.number()));
    group = match &diagnostic.span {
        None => group.element(Origin::path(&*name)),
        Some(span) => {
            let span = source.clamp(span);
            let other = other.as_ref().map(|(span, label)| (source.clamp(span), label));
            let shown = shown(source, &span, other.as_ref().map(|(span, _)| span));
            let within = |span: Span| span.start - shown.start..span.end - shown.start;
            let primary = AnnotationKind::Primary.span(within(span)).label(label.as_deref());
            let other = other.map(|(span, label)| AnnotationKind::Context.span(within(span)).label(&**label));
            let text = snippet(&source.text[shown.clone()]);
            let line = source.position(shown.start).line;
            let shown = Snippet::source(text.into_owned()).path(&*name).line_start(line);
            group.element(shown.annotation(primary).annotations(other))
        }
    };
    if let Some(hint) = &hint {
        group = group.element(Level::HELP.with_name("hint").message(&**hint));
    }
    renderer.render(&[group])
}

/// The part of the text that is looked at: the lines of one or two places, and of a long line not all that follows.
fn shown(source: &SourceText, span: &Span, other: Option<&Span>) -> Span {
    let start = other.map_or(span.start, |other| other.start.min(span.start));
    let end = other.map_or(span.end, |other| other.end.max(span.end));
    let rest = source.text.ceil_char_boundary(end + REST_BYTES_MAX);
    let rest = source.text[end..rest].find('\n').map_or(rest, |length| end + length);
    source.line_start(start)..rest
}

/// The file's text for a snippet: each active character gives way to one of the same length, so that places stay right.
fn snippet(text: &str) -> Cow<'_, str> {
    let active = |c: char| is_active(c) && c != '\n' && c != '\t' && c != '\r';
    if !text.contains(active) {
        return Cow::Borrowed(text);
    }
    let stand_in = |c: char| match c.len_utf8() {
        1 => '?',
        2 => '\u{b7}',
        _ => char::REPLACEMENT_CHARACTER,
    };
    Cow::Owned(text.chars().map(|c| if active(c) { stand_in(c) } else { c }).collect())
}

/// One diagnostic as an object.
pub(super) fn json(source: &SourceText, diagnostic: &Diagnostic) -> Value {
    let span = diagnostic.span.as_ref();
    json!({
        "severity": diagnostic.code.severity(),
        "code": diagnostic.code.number(),
        "message": diagnostic.message,
        "file": source.name,
        "start": span.map(|span| source.position(span.start)),
        "end": span.map(|span| source.position(span.end)),
        "label": diagnostic.label,
        "hint": diagnostic.hint,
    })
}
