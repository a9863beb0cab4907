//! The built-in transform `decode` as a component, for the tests of the doors.

tapedeck_sdk::export!(transform from tapedeck_decode::factory);
