//! What a stream's part of a file consists of, as data: which datasets, of what type, filled from what. Nothing is opened.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tapedeck_sdk::{StreamSchema, Timestamp};

use crate::fill::Fill;
use crate::raw::Element;

/// The group for what a reader of values need not see.
pub(crate) const INTERNAL: &str = "_tapedeck";
/// The dataset that holds the [`Description`].
pub(crate) const DESCRIPTION: &str = "description";
/// The version of the [`Description`].
pub(crate) const FORMAT: u32 = 1;

/// Bytes of the rows of one chunk over all columns, when the user does not say.
const CHUNK_BYTES: usize = 8 << 20;
/// The most rows of a chunk, when the user does not say: 64 KiB of a column of 8 bytes.
const CHUNK_ROWS: usize = 8192;

/// The value of an attribute of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// One dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// The path from the stream's group.
    pub(crate) path: String,
    /// The type of an element.
    pub(crate) element: Element,
    /// The dimensions of a row; none for one element.
    pub(crate) row: Vec<u64>,
    /// What the rows are made of.
    pub(crate) fill: Fill,
    /// Attributes of the dataset.
    pub(crate) attributes: Vec<(&'static str, Label)>,
}

impl Column {
    /// A dataset of one dimension.
    pub(crate) fn scalar(path: impl Into<String>, element: Element, fill: Fill) -> Self {
        Self { path: path.into(), element, row: Vec::new(), fill, attributes: Vec::new() }
    }

    /// A dataset of so many elements a row.
    pub(crate) fn rows_of(path: impl Into<String>, element: Element, length: usize, fill: Fill) -> Self {
        Self { row: vec![length as u64], ..Self::scalar(path, element, fill) }
    }

    /// With an attribute.
    pub(crate) fn label(mut self, key: &'static str, value: Label) -> Self {
        self.attributes.push((key, value));
        self
    }
}

/// A stream's part of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The group's name; empty for the root.
    pub(crate) group: String,
    /// The stream.
    pub(crate) schema: Arc<StreamSchema>,
    /// The datasets of its table, in the order in which they are written. The last one is the exact timestamp: a row that has it
    /// has everything.
    pub(crate) columns: Vec<Column>,
    /// Whether pictures are kept beside the table.
    pub(crate) frames: bool,
}

impl Plan {
    /// Bytes of a row over all datasets.
    pub(crate) fn row_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.fill.width()).sum()
    }

    /// Rows of a chunk: a power of two, so many that a chunk of every dataset together has no more than 8 MiB.
    pub(crate) fn chunk_rows(&self) -> usize {
        let rows = CHUNK_BYTES / self.row_bytes().max(1);
        let down = if rows.is_power_of_two() { rows } else { rows.next_power_of_two() / 2 };
        down.clamp(1, CHUNK_ROWS)
    }
}

/// What is written down in the file for our own reader and for repair, as JSON in `_tapedeck/description`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The layout's name.
    pub(crate) layout: String,
    /// When the session's clock was anchored.
    pub(crate) started_at: Timestamp,
    /// The streams, in the order of the sink's inputs.
    pub(crate) streams: Vec<StreamDescription>,
}

/// One stream of a [`Description`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamDescription {
    /// The group's name; empty for the root.
    pub(crate) group: String,
    /// The stream as it was recorded.
    pub(crate) schema: StreamSchema,
    /// The datasets that have the same rows, as paths from the group.
    pub(crate) datasets: Vec<String>,
    /// The path from the group of the dataset where rows wait for a full chunk, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<String>,
}

/// A path inside the group `_tapedeck`.
pub(crate) fn internal(name: &str) -> String {
    format!("{INTERNAL}/{name}")
}
