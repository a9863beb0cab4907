//! Takes events with the state of a game as JSON lines, from standard input or from the clients of a Unix socket.
//!
//! # Lines
//!
//! ```json
//! {"type": "keystroke", "player_id": "wings", "data": {"char": "d"}, "state": {…}}
//! {"checkpoint": "before_implementation"}
//! {"rewind": "before_implementation"}
//! {"pause": true}
//! {"finish": {"success": true, "final_code": "…", "final_time": 31.5}}
//! ```
//!
//! `data` and `state` may be left out; a state may be a delta, `{"type": "delta", "data": {…}}`, of the one before it. A checkpoint is recorded as an
//! event of that type and keeps the state; a rewind is one, too, and what follows goes on from that state. A pause stops the session's time.
//! After `finish` nothing comes. A line that is none of these is counted as failed and told with its number; a client is told, too.

mod line;
mod lines;
mod options;
mod source;
#[cfg(test)]
mod tests;

use tapedeck_sdk::prelude::*;

pub use options::EventsOptions;

/// The source.
#[must_use]
pub fn factory() -> Factory {
    Factory::source::<source::EventsSource>()
}
