//! The built-in sink `null` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_null::factory);
