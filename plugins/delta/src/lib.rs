//! Leaves out values that did not change (`delta`), and puts them back (`undelta`).
//!
//! # The form
//!
//! A delta stream has the payload columns of its original, all of them nullable, and behind them:
//!
//! - `delta_step: u32`: 0 in a *keyframe*, which has every value. Else the difference between this row's `seq` and that of the row
//!   whose values still hold where this one has null. Mostly 1.
//! - `delta_nulls: fixed_binary[⌈n / 8⌉]`, if the original has `n > 0` nullable columns: bit `i` (of byte `i / 8`, the least
//!   significant first) says that the value of the `i`-th nullable column is null in this row, not merely the same as before.
//!
//! The stream's metadata has `tapedeck.delta = "1"`, and a column that was nullable in the original `tapedeck.delta.nullable = "true"`, so
//! that `undelta` gives back the very same schema. Values are compared bit by bit: NaN is the same as the same NaN, −0 is not 0.
//!
//! # Loss
//!
//! `delta_step` says which row a row builds on. If that row is not the one that `undelta` saw last, frames were lost in between, and what
//! the values are nobody knows: such rows are left out and counted as failed, until the next keyframe. A gap in `seq` that was
//! there before `delta` costs nothing. The interval of the keyframes is how much a single lost frame can cost.

mod delta;
mod options;
#[cfg(test)]
mod tests;
mod undelta;

use tapedeck_sdk::prelude::*;

pub use delta::Delta;
pub use options::{DeltaOptions, UndeltaOptions};
pub use undelta::Undelta;

/// The name of the column that says which row a row builds on.
pub const STEP_COLUMN: &str = "delta_step";
/// The name of the column that says which values are null in the original.
pub const NULLS_COLUMN: &str = "delta_nulls";
/// The schema metadata key that marks a delta stream; the value is the version of the form, `"1"`.
pub const VERSION_KEY: &str = "tapedeck.delta";
/// The field metadata key of a column that was nullable in the original.
pub const NULLABLE_KEY: &str = "tapedeck.delta.nullable";

/// The `delta` transform.
#[must_use]
pub fn factory() -> Factory {
    Factory::transform::<Delta>()
}

/// The `undelta` transform.
#[must_use]
pub fn undelta_factory() -> Factory {
    Factory::transform::<Undelta>()
}

/// Both transforms.
#[must_use]
pub fn factories() -> Vec<Factory> {
    vec![factory(), undelta_factory()]
}
