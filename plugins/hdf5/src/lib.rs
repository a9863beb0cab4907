//! Writes and reads HDF5 recordings.
