//! Writes and reads Arrow IPC streams, the plainest lossless form.
