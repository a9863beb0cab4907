//! The options of the `parquet` sink and what they mean to the format's library.

use std::path::PathBuf;
use std::time::Duration;

use parquet::basic::{Compression as ParquetCompression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tapedeck_sdk::options::{ByteSize, DurationText};
use tapedeck_sdk::prelude::*;

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard, at `level`.
    Zstd,
    /// Snappy: larger files that older programs read too.
    Snappy,
    /// Not at all.
    None,
}

/// Options of the `parquet` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `parquet`.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// How pages are compressed: `zstd`, `snappy` or `none`.
    #[serde(default = "default_compression")]
    pub(crate) compression: Compression,
    /// The zstd level, from 1 (fast) to 22 (small).
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 22))]
    pub(crate) level: i32,
    /// The most rows in a row group.
    #[serde(default = "default_row_group_rows")]
    #[schemars(extend("x-unit" = "rows"))]
    pub(crate) row_group_rows: usize,
    /// The most time between the first and the last row of a row group.
    #[serde(default = "default_row_group_time")]
    pub(crate) row_group_time: DurationText,
    /// The most bytes in a row group, before compression. A row group is kept in memory until it is complete. Streams of more than
    /// 128 columns have row groups of at most 8MiB.
    #[serde(default = "default_row_group_bytes")]
    pub(crate) row_group_bytes: ByteSize,
    /// Begin a new file (`rows-0001.parquet`) after the row group with which the file reaches this size.
    #[serde(default)]
    pub(crate) rotate_bytes: Option<ByteSize>,
    /// Begin a new file (`rows-0001.parquet`) with the row that is this much later than the file's first.
    #[serde(default)]
    pub(crate) rotate_time: Option<DurationText>,
}

fn default_compression() -> Compression {
    Compression::Zstd
}

fn default_level() -> i32 {
    1
}

fn default_row_group_rows() -> usize {
    1 << 20
}

fn default_row_group_time() -> DurationText {
    DurationText(Duration::from_secs(30))
}

fn default_row_group_bytes() -> ByteSize {
    ByteSize(64 << 20)
}

impl ParquetOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |option: &str, what: &str| Err(Error::option([option], format!("{option} is {what}")));
        if !(1..=22).contains(&self.level) {
            return refuse("level", &format!("{}: it goes from 1 to 22", self.level));
        }
        if self.row_group_rows == 0 || i32::try_from(self.row_group_rows).is_err() {
            return refuse(
                "row_group_rows",
                &format!("{}: it goes from 1 to {}", self.row_group_rows, i32::MAX),
            );
        }
        if self.row_group_bytes.0 == 0 || self.row_group_bytes.0 > 4 << 30 {
            return refuse("row_group_bytes", &format!("{}: it goes up to 4GiB", self.row_group_bytes));
        }
        if self.row_group_time.0.is_zero() {
            return refuse("row_group_time", "0: a row group has at least one row");
        }
        if self.rotate_bytes.is_some_and(|bytes| bytes.0 == 0) {
            return refuse("rotate_bytes", "0: leave it out to keep everything in one file");
        }
        if self.rotate_time.is_some_and(|time| time.0.is_zero()) {
            return refuse("rotate_time", "0: leave it out to keep everything in one file");
        }
        Ok(())
    }

    /// The library's settings for a stream.
    ///
    /// Measured with 1,000 numeric columns × 600 rows: dictionaries cost 80 MB of memory and 40 % more processor time, and make the
    /// file larger; they stay for text alone, where values repeat. Page statistics and the page index are left out: row groups
    /// are small enough to be the unit of skipping.
    pub(crate) fn properties(&self, schema: &StreamSchema) -> Result<WriterPropertiesBuilder, Error> {
        let level =
            ZstdLevel::try_new(self.level).map_err(|error| Error::option(["level"], error.to_string()))?;
        let compression = match self.compression {
            Compression::Zstd => ParquetCompression::ZSTD(level),
            Compression::Snappy => ParquetCompression::SNAPPY,
            Compression::None => ParquetCompression::UNCOMPRESSED,
        };
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("tapedeck {}", env!("CARGO_PKG_VERSION")))
            .set_compression(compression)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(None);
        for field in schema.fields().iter().filter(|field| field.data_type == DataType::Utf8) {
            properties =
                properties.set_column_dictionary_enabled(ColumnPath::from(vec![field.name.clone()]), true);
        }
        Ok(properties)
    }
}
