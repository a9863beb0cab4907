//! Leaves out values that did not change, and puts them back.
