//! Decodes binary columns into typed ones by a field layout.
