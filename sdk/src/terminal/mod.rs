//! The convention of streams of kind `terminal`, and what every plugin that works on them needs. Knows no file format.
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

mod files;
mod names;
mod recordings;
mod utf8;

use std::sync::Arc;

pub use files::Files;
pub use names::safe_name;
pub use recordings::{Recording, Recordings, Taken};
pub use utf8::Utf8Joiner;

use crate::{DataType, Error, Kind, SchemaBuilder, StreamSchema};

/// The schema metadata key of a stream that has one connection only; the value is `"true"`. Sinks write one file then.
pub const SINGLE_KEY: &str = "tapedeck.terminal.single";
/// The schema metadata key of the longest pause, in seconds, that whoever made the recording wants to be shown.
pub const IDLE_LIMIT_KEY: &str = "tapedeck.terminal.idle_limit";

/// The schema of a stream of kind `terminal`, to which metadata can be added.
#[must_use]
pub fn schema(name: &str) -> SchemaBuilder {
    StreamSchema::builder(name, Kind::Terminal)
        .field("connection", DataType::Utf8)
        .field("code", DataType::Utf8)
        .field("data", DataType::Binary)
}

/// Whether the stream has one connection only.
#[must_use]
pub fn is_single(schema: &StreamSchema) -> bool {
    schema.metadata().get(SINGLE_KEY).is_some_and(|value| value == "true")
}

/// Where the columns of a stream of kind `terminal` stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The connection's name: `Utf8`.
    pub connection: usize,
    /// What happened: `Utf8`.
    pub code: usize,
    /// Its bytes: `Binary`.
    pub data: usize,
}

impl Columns {
    /// Finds them.
    ///
    /// # Errors
    /// The stream is of another kind, or a column is missing or of another type.
    pub fn of(schema: &Arc<StreamSchema>) -> Result<Self, Error> {
        if schema.kind() != Kind::Terminal {
            let message =
                format!("stream \"{}\" is of kind \"{}\", not \"terminal\"", schema.name(), schema.kind());
            return Err(Error::data(message).with_hint("The sink `arrow` takes streams of every kind."));
        }
        let column = |name: &str, data_type: DataType| {
            let index =
                schema.payload_index(name).filter(|&index| schema.payload()[index].data_type == data_type);
            index.ok_or_else(|| {
                let message =
                    format!("stream \"{}\" has no column \"{name}\" of type {data_type}", schema.name());
                Error::data(message).with_hint(
                    "Streams of kind \"terminal\" have it; the plugin that made this one is at fault.",
                )
            })
        };
        Ok(Self {
            connection: column("connection", DataType::Utf8)?,
            code: column("code", DataType::Utf8)?,
            data: column("data", DataType::Binary)?,
        })
    }
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
