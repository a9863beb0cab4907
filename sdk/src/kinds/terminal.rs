//! The convention of streams of kind `terminal`.
//!
//! A row is something that happened in a terminal: `connection` says in which, `code` what, `data` has the bytes.
//!
//! | code | data |
//! |---|---|
//! | `o` | output, raw bytes as the terminal got them |
//! | `i` | input, raw bytes as the program got them |
//! | `r` | the size in cells, `COLSxROWS`, decimal; the first one of a connection says how it began |
//! | `m` | a mark; its label, which may be empty |
//! | `x` | the exit status, decimal, or nothing if nobody knows it; the last row of a connection |
//! | `c` | facts about the connection: a JSON object. Tapedeck's own, as is `e` |
//! | `e` | whether what is typed is shown from here on: `on` or `off` |
//!
//! The codes in the first five rows are those of asciicast version 3.
//!
//! Facts with a meaning of their own: `bytes_in` and `bytes_out`, what passed in all, recorded or not;
//! `output_as` and `input_as`, where `"bytes"` says that further `o` or `i` rows are bytes of a transfer, not
//! text.

use std::fmt;

use super::convention::convention;
use crate::StreamSchema;

convention! { Terminal:
    /// The connection's name.
    connection "connection" (text),
    /// What happened: a [`Code`].
    code "code" (text),
    /// Its bytes.
    data "data" (bytes),
}

/// What happened in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Output, raw bytes as the terminal got them.
    Output,
    /// Input, raw bytes as the program got them.
    Input,
    /// A mark with its label.
    Mark,
    /// The size in cells: a [`Size`].
    Resize,
    /// The exit status: the last row of a connection.
    Exit,
    /// Facts about the connection: a JSON object.
    Facts,
    /// Whether what is typed is shown from here on: `on` or `off`.
    Echo,
}

impl Code {
    /// All codes, those of asciicast first.
    pub const ALL: [Self; 7] =
        [Self::Output, Self::Input, Self::Mark, Self::Resize, Self::Exit, Self::Facts, Self::Echo];

    /// The code of that letter, if it is one.
    #[must_use]
    pub fn of(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.letter() == letter)
    }

    /// What stands in the column.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Output => "o",
            Self::Input => "i",
            Self::Mark => "m",
            Self::Resize => "r",
            Self::Exit => "x",
            Self::Facts => "c",
            Self::Echo => "e",
        }
    }
}

/// The schema metadata key of a stream that has one connection only; the value is `"true"`. Sinks write one file then.
pub const SINGLE_KEY: &str = "tapedeck.terminal.single";
/// The schema metadata key of the longest pause, in seconds, that whoever made the recording wants to be shown.
pub const IDLE_LIMIT_KEY: &str = "tapedeck.terminal.idle_limit";

/// Whether the stream has one connection only.
#[must_use]
pub fn is_single(schema: &StreamSchema) -> bool {
    schema.metadata().get(SINGLE_KEY).is_some_and(|value| value == "true")
}

/// Columns and rows of a terminal, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Cells in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Size {
    /// Reads `COLSxROWS`. A terminal of no width or height is none.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (columns, rows) = std::str::from_utf8(data).ok()?.split_once('x')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|&number: &u16| digits && number > 0)
        };
        Some(Self { columns: number(columns)?, rows: number(rows)? })
    }
}

/// `COLSxROWS`, as it stands in a row.
impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.columns, self.rows)
    }
}
