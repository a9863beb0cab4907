//! The options of the sink, as the pipeline spells them.

use std::path::PathBuf;

use serde::Deserialize;
use tapedeck_sdk::Error;

/// The most rows of a chunk.
pub(crate) const CHUNK_ROWS_MAX: u32 = 1 << 20;

/// What the file looks like to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// One dataset a column, named as the column, with `timestamps` in seconds and `seq`.
    #[default]
    Datasets,
    /// All columns in one `memory_data` of `f32`, `timestamps` in milliseconds, `inputs`, `latencies` and `frames`.
    Siphon,
}

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compression {
    /// Not at all. The fastest, and rows are written where they stay.
    #[default]
    None,
    /// The deflate filter that every HDF5 library has.
    Deflate,
}

/// Options of the `hdf5` sink.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The file, inside the session folder. Default: the sink's id with `.h5`.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// What the file looks like to a reader: `datasets` (one dataset a column) or `siphon` (one `memory_data` for all columns).
    #[serde(default)]
    pub(crate) layout: Layout,
    /// Rows of a chunk, which is what is written, compressed and read at once. The rows of one chunk of every column are held in
    /// memory. Default: as many as fill 8 MiB over all columns, from 64 to 8192, a power of two: 1024 for 1,000 columns
    /// of 8 bytes, 8192 for 100.
    #[serde(default)]
    #[schemars(extend("x-unit" = "rows"), range(min = 1, max = 1_048_576))]
    pub(crate) chunk_rows: Option<u32>,
    /// How chunks are compressed: `none` or `deflate`.
    #[serde(default)]
    pub(crate) compression: Compression,
    /// The level of `deflate`, from 1 (fast) to 9 (small). Default: 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 9))]
    pub(crate) level: Option<u32>,
    /// Whether the bytes of a chunk are sorted by their place in a number before `deflate`, which makes numbers smaller.
    #[serde(default)]
    pub(crate) shuffle: bool,
    /// Whether others can read the file while it is written (single writer, multiple readers), and a killed recording stays
    /// readable up to its last flush. Without it a little less is written, and a kill in the middle of a flush can cost the
    /// whole file.
    #[serde(default = "yes")]
    pub(crate) swmr: bool,
    /// Layout `siphon`: the columns that are keys and buttons. They go into `inputs` as 0 and 1, in this order, and not into
    /// `memory_data`.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// Layout `siphon`: the columns, in milliseconds, that go into `latencies`: frame capture, memory read, keystroke capture, disk write
    /// queue and total, in this order. Without it `latencies` is filled with NaN.
    #[serde(default)]
    pub(crate) latencies: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Options {
    /// What can be seen from the options alone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.chunk_rows.is_some_and(|rows| rows == 0 || rows > CHUNK_ROWS_MAX) {
            return Err(Error::option(
                ["chunk_rows"],
                format!("chunk_rows must be from 1 to {CHUNK_ROWS_MAX}"),
            ));
        }
        if self.level.is_some_and(|level| !(1..=9).contains(&level)) {
            return Err(Error::option(["level"], "level must be from 1 to 9"));
        }
        if self.compression == Compression::None {
            let hint = "add compression = \"deflate\"";
            if self.level.is_some() {
                return Err(
                    Error::option(["level"], "level has no meaning without compression").with_hint(hint)
                );
            }
            if self.shuffle {
                return Err(
                    Error::option(["shuffle"], "shuffle gains nothing without compression").with_hint(hint)
                );
            }
        }
        if self.layout == Layout::Datasets {
            for (key, given) in [("keys", !self.keys.is_empty()), ("latencies", !self.latencies.is_empty())] {
                if given {
                    return Err(Error::option([key], format!("{key} belongs to layout = \"siphon\""))
                        .with_hint("add layout = \"siphon\", or take the option out"));
                }
            }
        }
        if !matches!(self.latencies.len(), 0 | crate::siphon::LATENCIES) {
            let message =
                format!("latencies needs {} columns, not {}", crate::siphon::LATENCIES, self.latencies.len());
            return Err(Error::option(["latencies"], message));
        }
        Ok(())
    }

    /// The deflate level, if chunks are to be compressed.
    pub(crate) fn deflate(&self) -> Option<u32> {
        (self.compression == Compression::Deflate).then(|| self.level.unwrap_or(1))
    }
}
