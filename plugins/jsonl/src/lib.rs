//! Writes and reads JSON lines, for people.
