//! What several plugins share and no plugin author must know: files of lines, recordings of terminals, streams as blocks of rows, pickles.
//!
//! Stands between the SDK and the plugins: imports the SDK only, and names no format and no device. Nothing here belongs to the
//! contract, so a plugin of a third party never needs it.

pub mod blocks;
pub mod json;
pub mod lines;
pub mod pickle;
pub mod seconds;
pub mod tas;
pub mod terminal;
pub mod tracks;
mod utf8;

pub use utf8::Utf8Joiner;
