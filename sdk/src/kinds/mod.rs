//! The conventions that the payload columns of a stream keep, one module for each kind.

pub mod terminal;
