//! A text with a name, and the way from bytes to lines and columns. Knows nothing of what the text says.

/// A place in a text, in bytes.
pub type Span = std::ops::Range<usize>;

/// A text, and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The file's name, as the user gave it.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A place as people count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl SourceText {
    /// A text with a name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The line and column of a byte. One behind the end is the end.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// The span cut to the text, to whole characters and to the line on which it begins.
    #[must_use]
    pub fn clamp(&self, span: &Span) -> Span {
        let start = self.text.floor_char_boundary(span.start);
        let line_end = self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |length| start + length);
        let end = self.text.ceil_char_boundary(span.end.min(line_end));
        start..end.max(start)
    }

    /// The text at the span, or nothing where the span is outside.
    #[must_use]
    pub fn slice(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}
