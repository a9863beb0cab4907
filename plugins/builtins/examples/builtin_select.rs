//! The built-in transform `select` as a component, for the tests of the doors.

tapedeck_sdk::export!(transform from tapedeck_select::factory);
