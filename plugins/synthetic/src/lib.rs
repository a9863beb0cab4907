//! Makes up frames, deterministic from a seed.
