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
    marks: Vec<Mark>,
}

/// How many bytes of the text lie between two marks.
const MARK_BYTES: usize = 1024;

/// What stands before a byte of the text, so that the position of any other takes no look at the whole text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mark {
    /// Line ends before it.
    lines: usize,
    /// The byte at which its line begins.
    line_start: usize,
    /// The characters before it that begin on its line.
    characters: usize,
}

impl Mark {
    /// The mark behind some more bytes, of which the first is at `start`.
    fn advance(self, bytes: &[u8], start: usize) -> Self {
        let begins = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        match bytes.iter().rposition(|&byte| byte == b'\n') {
            None => Self { characters: self.characters + begins(bytes), ..self },
            Some(last) => Self {
                lines: self.lines + bytes.iter().filter(|&&byte| byte == b'\n').count(),
                line_start: start + last + 1,
                characters: begins(&bytes[last + 1..]),
            },
        }
    }
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
        let text = text.into();
        let mut marks = vec![Mark::default()];
        for (index, block) in text.as_bytes().chunks_exact(MARK_BYTES).enumerate() {
            marks.push(marks[index].advance(block, index * MARK_BYTES));
        }
        Self { name: name.into(), text, marks }
    }

    /// The line and column of a byte. One behind the end is the end.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let mark = self.mark(byte);
        Position { line: mark.lines + 1, column: mark.characters + 1 }
    }

    /// The byte at which the line of a byte begins.
    #[must_use]
    pub fn line_start(&self, byte: usize) -> usize {
        self.mark(byte).line_start
    }

    fn mark(&self, byte: usize) -> Mark {
        let byte = self.text.floor_char_boundary(byte);
        let index = byte / MARK_BYTES;
        let start = index * MARK_BYTES;
        self.marks[index].advance(&self.text.as_bytes()[start..byte], start)
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
