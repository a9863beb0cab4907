//! Keeps, renames and casts columns.
