//! The types of events and the keys of states that recordings of lessons have (TAS format, version 1.0.0), and states as deltas of each other.

mod states;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

pub use states::{Known, State, compress, decompress, known};

/// All types of events.
pub const TYPES: [&str; 21] = [
    "keystroke",
    "button_press",
    "button_release",
    "trigger_pressure",
    "stick_move",
    "challenge_start",
    "challenge_complete",
    "test_run",
    "test_pass",
    "test_fail",
    "emotional_prompt",
    "emotional_response",
    "recommendation",
    "concept_unlock",
    "mastery_level_up",
    "player_join",
    "player_leave",
    "player_message",
    "checkpoint",
    "rewind",
    "speed_change",
];

/// A key of a state.
pub struct StateKey {
    /// What it is called.
    pub name: &'static str,
    /// Whether a state may be without it.
    pub optional: bool,
    /// Whether it is a pair, which Python holds as a tuple.
    pub pair: bool,
}

const fn key(name: &'static str) -> StateKey {
    StateKey { name, optional: false, pair: false }
}

/// All keys of a state, in the order in which they are written.
pub const STATE_KEYS: [StateKey; 15] = [
    key("current_code"),
    StateKey { pair: true, ..key("cursor_position") },
    StateKey { optional: true, ..key("ast_tree") },
    key("challenge_id"),
    key("challenge_started_at"),
    key("tests_passing"),
    key("tests_total"),
    key("hints_used"),
    key("player_id"),
    key("mastery_levels"),
    StateKey { optional: true, pair: true, ..key("current_emotion") },
    key("session_duration"),
    key("challenges_completed"),
    key("concepts_mastered"),
    StateKey { optional: true, ..key("other_players") },
];

/// Whether there are events of a type.
///
/// # Errors
/// There are none: the message goes on behind "an event".
pub fn check_type(kind: &str) -> Result<(), String> {
    if TYPES.contains(&kind) { Ok(()) } else { Err(format!("has the unknown type \"{kind}\"")) }
}

/// Whether a text is a state: an object with all keys that a state must have.
///
/// # Errors
/// It is none: the message goes on behind "an event".
pub fn check_state(text: &str) -> Result<(), String> {
    let found: Found =
        serde_json::from_str(text).map_err(|error| format!("has a state that is none: {error}"))?;
    let missing = STATE_KEYS.iter().zip(found.0).find(|(key, found)| !found && !key.optional);
    missing.map_or(Ok(()), |(key, _)| Err(format!("has a state without \"{}\"", key.name)))
}

/// Which keys a state has.
struct Found([bool; STATE_KEYS.len()]);

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Found;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
                let mut found = Found([false; STATE_KEYS.len()]);
                let mut next = 0;
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    // Most states have the keys in their order.
                    let usual = STATE_KEYS.get(next).filter(|key| key.name == name.0).map(|_| next);
                    let place = usual.or_else(|| STATE_KEYS.iter().position(|key| key.name == name.0));
                    if let Some(place) = place {
                        if std::mem::replace(&mut found.0[place], true) {
                            return Err(A::Error::custom(format!("the key \"{}\" comes twice", name.0)));
                        }
                        next = place + 1;
                    }
                    map.next_value::<IgnoredAny>()?;
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);
