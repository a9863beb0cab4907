//! The `hold` transform as a library.

mod plugin;

tapedeck_sdk::export!(transform plugin::Hold);
