//! An event as JSON, read and checked.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tapedeck_kit::tas::{check_state, check_type};

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'t>(#[serde(borrow)] pub(crate) Cow<'t, str>);

/// An event as it stands in a document.
#[derive(Deserialize)]
pub(crate) struct Recorded<'t> {
    /// Seconds since the recording began.
    pub(crate) timestamp: f64,
    #[serde(borrow)]
    pub(crate) event: Event<'t>,
    #[serde(borrow)]
    pub(crate) game_state: &'t RawValue,
}

/// What happened.
#[derive(Deserialize)]
pub(crate) struct Event<'t> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Text<'t>,
    #[serde(borrow)]
    pub(crate) player_id: Text<'t>,
    #[serde(borrow)]
    pub(crate) data: &'t RawValue,
}

impl<'t> Recorded<'t> {
    /// Reads an event and checks all of it, but for a state that is known to be good.
    pub(crate) fn read(text: &'t str, trusted: bool) -> Result<Self, String> {
        let event: Self = serde_json::from_str(text).map_err(|error| format!("can't be read: {error}"))?;
        check_time(event.timestamp)?;
        check_type(&event.event.kind.0)?;
        if !trusted {
            check_state(event.game_state.get())?;
        }
        Ok(event)
    }
}

/// The name of the checkpoint that an event is, if it is one.
pub(crate) fn checkpoint_of(kind: &str, data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let named: Option<Named> = (kind == "checkpoint").then(|| serde_json::from_str(data).ok())?;
    named.map(|named| named.name)
}

/// Whether a time is one that an event can have.
pub(crate) fn check_time(seconds: f64) -> Result<(), String> {
    match seconds {
        seconds if seconds < 0.0 => Err("has a negative timestamp".to_owned()),
        // Beyond the years that a frame can be in.
        seconds if seconds < 9.0e9 => Ok(()),
        seconds => Err(format!("has a timestamp that is none: {seconds}")),
    }
}
