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

/// In a stream's metadata: the places in it that have names, as a JSON object of `seq` by name.
pub const CHECKPOINTS_KEY: &str = "event.checkpoints";

/// The `type` of a frame that is no event: its `data` says how the recording ends.
pub const FINISH: &str = "finish";

/// The columns whose text is JSON.
pub const JSON_COLUMNS: [&str; 2] = ["data", "state"];
