//! The built-in sink `text` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_text::factory);
