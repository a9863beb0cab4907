//! The built-in sink `asciicast` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_asciicast::factory);
