//! The convention of streams of kind `event`: what happens in a game or a lesson, to whom, and the state after it.

use super::convention::convention;

convention! { Event:
    /// What happened, such as `test_fail`.
    event_type "type" (text),
    /// Who it happened to; empty for the whole game.
    player_id "player_id" (text),
    /// The particulars: JSON.
    data "data" (text),
    /// The state after the event: JSON.
    state "state" (text or null),
}

/// The columns whose text is JSON.
pub const JSON_COLUMNS: [&str; 2] = ["data", "state"];
