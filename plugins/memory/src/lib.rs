//! Reads the variables of a running process.
