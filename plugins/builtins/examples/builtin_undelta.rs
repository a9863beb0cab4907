//! The built-in transform `undelta` as a component, for the tests of the doors.

tapedeck_sdk::export!(transform from tapedeck_delta::undelta_factory);
