//! States as what has changed since the one before.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{Pairs, put_plain};

/// A state is a delta where so many of a hundred keys have changed at the most, less one.
const CHANGED_PERCENT: usize = 30;

/// A state: keys and values in one notation.
pub type State = Vec<(String, String)>;

fn state_of(text: &str) -> Result<State, String> {
    let Pairs(pairs) =
        serde_json::from_str(text).map_err(|error| format!("has a state that is none: {error}"))?;
    let plain = |(key, value): (Cow<'_, str>, &RawValue)| {
        let mut text = Vec::new();
        put_plain(value.get().as_bytes(), &mut text);
        String::from_utf8(text).map(|text| (key.into_owned(), text)).map_err(|error| error.to_string())
    };
    pairs.into_iter().map(plain).collect()
}

fn put_state<'s>(pairs: impl Iterator<Item = &'s (String, String)>, out: &mut String) {
    out.push('{');
    for (place, (key, value)) in pairs.enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        out.push_str(&serde_json::Value::from(key.as_str()).to_string());
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

/// A state and the `seq` of its event.
pub type Known = Option<(u64, State)>;

/// A state that is told whole, and the `seq` of its event.
///
/// # Errors
/// It is no object: the message goes on behind "an event".
pub fn known(seq: u64, text: &str) -> Result<Known, String> {
    state_of(text).map(|state| Some((seq, state)))
}

/// The form of a state that follows another one: full, or a delta.
///
/// # Errors
/// It is no object: the message goes on behind "an event".
pub fn compress(known: &mut Known, seq: u64, text: &str) -> Result<String, String> {
    let state = state_of(text)?;
    let mut out = String::new();
    let changed = known.as_ref().and_then(|(base, before)| {
        let value = |key: &str| before.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        let removed = before.iter().any(|(key, _)| state.iter().all(|(kept, _)| kept != key));
        let changed: Vec<_> = state.iter().filter(|(key, new)| value(key) != Some(new)).collect();
        let few = changed.len() * 100 < state.len() * CHANGED_PERCENT;
        (few && !removed).then_some((*base, changed))
    });
    if let Some((base, changed)) = changed {
        out.push_str("{\"type\":\"delta\",\"data\":");
        put_state(changed.into_iter(), &mut out);
        out.push_str(&format!(",\"base\":{base}}}"));
    } else {
        out.push_str("{\"type\":\"full\",\"data\":");
        put_state(state.iter(), &mut out);
        out.push('}');
    }
    *known = Some((seq, state));
    Ok(out)
}

/// How a state was compressed.
#[derive(serde::Deserialize)]
struct Compressed<'t> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'t, str>,
    #[serde(borrow)]
    data: &'t RawValue,
    base: Option<u64>,
}

/// The state that a form of it stands for.
///
/// # Errors
/// It is neither full nor a delta, or a delta of a state that is not known: the message goes on behind "an event".
pub fn decompress(known: &mut Known, seq: u64, text: &str) -> Result<String, String> {
    let form: Compressed<'_> = serde_json::from_str(text)
        .map_err(|error| format!("has a state that is neither full nor a delta: {error}"))?;
    let mut state = state_of(form.data.get())?;
    match (&*form.kind, known.take()) {
        ("full", _) => {}
        ("delta", Some((before, base))) if form.base.is_none_or(|base| base == before) => {
            let changed = std::mem::replace(&mut state, base);
            for (key, value) in changed {
                match state.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, old)) => *old = value,
                    None => state.push((key, value)),
                }
            }
        }
        ("delta", _) => return Err("has a delta of a state that was lost".to_owned()),
        (other, _) => {
            return Err(format!("has a state of type \"{other}\", which is neither full nor delta"));
        }
    }
    let mut out = String::new();
    put_state(state.iter(), &mut out);
    *known = Some((seq, state));
    Ok(out)
}
