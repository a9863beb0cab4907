//! The built-in transform `delta` as a component, for the tests of the doors.

tapedeck_sdk::export!(transform from tapedeck_delta::factory);
