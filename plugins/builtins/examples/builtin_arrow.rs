//! The built-in sink `arrow` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_arrow::factory);
