//! The options of the `mcap` sink.

use std::path::PathBuf;
use std::time::Duration;

use tapedeck_sdk::options::{ByteSize, DurationText};
use tapedeck_sdk::prelude::*;

/// The most that `chunk_bytes` may be.
const CHUNK_BYTES_MAX: u64 = 64 << 20;

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard, at `level`.
    Zstd,
    /// LZ4: larger files, less processor time.
    Lz4,
    /// Not at all.
    None,
}

/// How rows of attributes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attributes {
    /// Protobuf, with its descriptor in the file.
    Protobuf,
    /// JSON objects.
    Json,
}

/// Whose names channels have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Topics as they are.
    None,
    /// ROS 2: the header says `ros2`, topics begin with `/`.
    Ros2,
    /// dimos: the topics of messages are `dimos/<name>/<package.Type>`.
    Dimos,
}

/// Options of the `mcap` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McapOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `mcap`.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// How chunks are compressed: `zstd`, `lz4` or `none`.
    #[serde(default = "default_compression")]
    pub(crate) compression: Compression,
    /// The compression level: zstd from 1 (fast) to 22 (small), lz4 from 1 to 12.
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 22))]
    pub(crate) level: u32,
    /// A chunk ends with the message that brings it to this size, before compression. It ends at each `flush_interval` in any case.
    #[serde(default = "default_chunk_bytes")]
    pub(crate) chunk_bytes: ByteSize,
    /// A chunk ends before a message that is this much later than its first.
    #[serde(default = "default_chunk_time")]
    pub(crate) chunk_time: DurationText,
    /// How rows of attributes are written: `protobuf` or `json`.
    #[serde(default = "default_attributes")]
    pub(crate) attributes: Attributes,
    /// Whose names channels have: `none`, `ros2` or `dimos`.
    #[serde(default = "default_profile")]
    pub(crate) profile: Profile,
}

fn default_compression() -> Compression {
    Compression::Zstd
}

fn default_level() -> u32 {
    1
}

fn default_chunk_bytes() -> ByteSize {
    ByteSize(1 << 20)
}

fn default_chunk_time() -> DurationText {
    DurationText(Duration::from_secs(10))
}

fn default_attributes() -> Attributes {
    Attributes::Protobuf
}

fn default_profile() -> Profile {
    Profile::None
}

impl McapOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let level_max = if self.compression == Compression::Lz4 { 12 } else { 22 };
        if !(1..=level_max).contains(&self.level) {
            let message = format!("level is {}: it goes from 1 to {level_max}", self.level);
            return Err(Error::option(["level"], message));
        }
        if self.chunk_bytes.0 == 0 || self.chunk_bytes.0 > CHUNK_BYTES_MAX {
            let message =
                format!("chunk_bytes is {}: it goes up to {}", self.chunk_bytes, ByteSize(CHUNK_BYTES_MAX));
            return Err(Error::option(["chunk_bytes"], message));
        }
        if self.chunk_time.0.is_zero() {
            return Err(Error::option(["chunk_time"], "chunk_time is 0: a chunk has at least one message"));
        }
        Ok(())
    }
}
