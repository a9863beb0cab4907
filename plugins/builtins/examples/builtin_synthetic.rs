//! The built-in source `synthetic` as a component, for the tests of the doors.

tapedeck_sdk::export!(source from tapedeck_synthetic::factory);
