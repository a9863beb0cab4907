//! Takes frames and forgets them.
