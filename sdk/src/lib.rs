//! The contract between the Tapedeck engine and its plugins: what flows ([`Batch`], [`StreamSchema`]), what a plugin
//! is ([`Source`], [`Transform`], [`Sink`]), what it says of itself ([`Descriptor`]) and how it is made ([`Factory`]).
//!
//! This crate imports nothing of Tapedeck's own. It knows no format, no device, no thread and no clock: it builds natively
//! and for `wasm32-wasip2` alike.
//!
//! # The shortest plugin
//!
//! ```
//! use tapedeck_sdk::prelude::*;
//!
//! /// Options of the `ramp` source.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct RampOptions {
//!     /// How much the value grows with each frame.
//!     #[serde(default)]
//!     step: f64,
//! }
//!
//! struct Ramp { streams: Vec<Arc<StreamSchema>>, pool: BatchPool, value: f64, step: f64 }
//!
//! impl Source for Ramp {
//!     fn streams(&self) -> &[Arc<StreamSchema>] { &self.streams }
//!     fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
//!         let mut batch = self.pool.builder(1);
//!         batch.push_row(Timestamp::UNSET).set(0, self.value);
//!         self.value += self.step;
//!         Ok(Next::Batch { output: 0, batch: batch.finish() })
//!     }
//! }
//!
//! impl OpenSource for Ramp {
//!     type Options = RampOptions;
//!     fn describe() -> Description { Description::source("ramp", "Counts upwards").gives(&[Kind::Attributes]) }
//!     fn open(options: RampOptions, context: Context) -> Result<Self, Error> {
//!         let schema = StreamSchema::builder(&context.id, Kind::Attributes).field("value", DataType::Float64).build()?;
//!         let pool = BatchPool::new(schema.clone());
//!         Ok(Self { streams: vec![schema], pool, value: 0.0, step: options.step })
//!     }
//! }
//!
//! let factory = Factory::source::<Ramp>();
//! assert_eq!(factory.descriptor().name, "ramp");
//! ```

pub mod batch;
mod data_type;
mod descriptor;
pub mod door;
mod error;
mod export;
mod factory;
mod format;
mod host;
pub mod kinds;
pub mod names;
pub mod native;
pub mod options;
pub mod panics;
mod plugin;
mod recording;
mod schema;
pub mod testing;
mod time;
pub mod visible;
#[cfg(target_family = "wasm")]
pub mod wasm;
mod written;

pub use batch::{Batch, BatchBuilder, BatchPool, Column, Relabel, RowWriter};
pub use data_type::DataType;
pub use descriptor::{Description, Descriptor, PluginKind};
pub use error::{Error, ErrorKind};
pub use factory::{Factory, OpenSinkFn, Opener};
pub use format::{Format, HEAD_BYTES, Repair};
pub use host::{Context, Follower, Host, LABEL_CHARACTERS_MAX, Loss, Role, SessionInfo, Told, Watermark};
pub use kinds::{Kind, KindColumn};
pub use plugin::{Next, OpenSink, OpenSource, OpenTransform, Outputs, Sink, Source, Transform};
pub use recording::{Extent, Recording, Wanted};
pub use schema::{COLUMNS_MAX, Field, SchemaBuilder, StreamSchema};
pub use time::Timestamp;
pub use written::{Refused, Written};

/// Everything that a plugin's source file usually needs.
pub mod prelude {
    pub use crate::{
        Batch, BatchBuilder, BatchPool, Column, Context, DataType, Description, Descriptor, Error, ErrorKind,
        Extent, Factory, Field, Format, Host, Kind, Loss, Next, OpenSink, OpenSource, OpenTransform, Outputs,
        PluginKind, Recording, Relabel, Repair, Role, RowWriter, SessionInfo, Sink, Source, StreamSchema,
        Timestamp, Transform, Wanted, Written,
    };
    pub use std::sync::Arc;
}

/// The guide's Rust blocks are run like every other example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Guide;
