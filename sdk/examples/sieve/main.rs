//! The `sieve` sink as a library.

mod plugin;

tapedeck_sdk::export!(sink plugin::Sieve);
