//! Writes and reads Parquet recordings.
