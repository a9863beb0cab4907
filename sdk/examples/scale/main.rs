//! The `scale` transform as a library: `cargo build --example scale` gives the dynamic one, with `--target wasm32-wasip2` the component.

mod plugin;

tapedeck_sdk::export!(transform plugin::Scale);
