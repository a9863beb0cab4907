//! The built-in sink `jsonl` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_jsonl::factory);
