//! The built-in transform `redact` as a component, for the tests of the doors.

tapedeck_sdk::export!(transform from tapedeck_redact::factory);
