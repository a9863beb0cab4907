//! What a line says. Knows nothing of where lines come from.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tapedeck_kit::json::{Pairs, put_plain};
use tapedeck_kit::tas::check_type;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said<'t> {
    Event { kind: Cow<'t, str>, player_id: Option<Cow<'t, str>>, data: String, state: Option<&'t str> },
    Checkpoint(String),
    Rewind(String),
    Pause(bool),
    Finish(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<'t> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'t, str>,
    #[serde(borrow, default)]
    player_id: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    data: Option<&'t RawValue>,
    #[serde(borrow, default)]
    state: Option<&'t RawValue>,
}

/// Reads a line; else what is wrong with it.
pub(crate) fn read(line: &str) -> Result<Said<'_>, String> {
    let wrong = |error: serde_json::Error| tapedeck_kit::lines::json_reason(&error);
    let Pairs(pairs) = serde_json::from_str(line).map_err(wrong)?;
    if let [(key, value)] = pairs.as_slice() {
        let name = || serde_json::from_str::<String>(value.get()).map_err(wrong);
        match &**key {
            "checkpoint" => return name().map(Said::Checkpoint),
            "rewind" => return name().map(Said::Rewind),
            "pause" => return serde_json::from_str(value.get()).map(Said::Pause).map_err(wrong),
            "finish" => {
                serde_json::from_str::<Pairs<'_>>(value.get()).map_err(wrong)?;
                return Ok(Said::Finish(plain(value)));
            }
            _ => {}
        }
    }
    let Event { kind, player_id, data, state } = serde_json::from_str(line).map_err(wrong)?;
    check_type(&kind).map_err(|why| format!("it {why}"))?;
    Ok(Said::Event {
        kind,
        player_id,
        data: data.map_or_else(|| "{}".to_owned(), plain),
        state: state.map(RawValue::get),
    })
}

/// A value in one notation.
fn plain(value: &RawValue) -> String {
    let mut text = Vec::new();
    put_plain(value.get().as_bytes(), &mut text);
    String::from_utf8(text).unwrap_or_default()
}
