//! The `talk` source as a library.

mod plugin;

tapedeck_sdk::export!(source plugin::Talk);
