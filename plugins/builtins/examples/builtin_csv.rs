//! The built-in sink `csv` as a component, for the tests of the doors.

tapedeck_sdk::export!(sink from tapedeck_csv::factory);
