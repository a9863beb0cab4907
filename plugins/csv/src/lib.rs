//! Writes and reads comma-separated values, for people.
