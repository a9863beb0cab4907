//! Events as Python pickles them: instances of the format's dataclasses. Values become JSON as Python's `json` would write them, and back.
//! Nothing is executed.

use std::borrow::Cow;

use tapedeck_kit::pickle::{Encoder, Id, Limits, Made, Object, Pickle, Value};

use crate::reader::Reader;
use tapedeck_kit::json::{put_character, put_half};
use tapedeck_kit::tas::STATE_KEYS;

/// How deep values may be nested.
const DEPTH_MAX: usize = 200;
/// The protocol that Python 3.8 and newer write.
const PROTOCOL: u8 = 4;

/// An event that was pickled.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pickled {
    pub(crate) timestamp: f64,
    pub(crate) kind: String,
    pub(crate) player_id: String,
    /// JSON.
    pub(crate) data: Vec<u8>,
    pub(crate) state: Vec<u8>,
}

impl Pickled {
    /// Reads an event.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let pickle = load(bytes)?;
        let recorded = instance(&pickle, pickle.root(), "RecordedEvent")?;
        let event = instance(&pickle, part(&pickle, recorded, "event")?, "GameEvent")?;
        let state = instance(&pickle, part(&pickle, recorded, "game_state")?, "GameState")?;
        let mut found = Self {
            timestamp: number(&pickle, part(&pickle, recorded, "timestamp")?)?,
            kind: kind(&pickle, part(&pickle, event, "type")?)?,
            player_id: words(&pickle, part(&pickle, event, "player_id")?)?.to_owned(),
            ..Self::default()
        };
        put_json(&pickle, part(&pickle, event, "data")?, 0, &mut found.data)?;
        put_json(&pickle, state, 0, &mut found.state)?;
        Ok(found)
    }
}

/// Reads a pickled table as a JSON object's keys and values.
pub(crate) fn table(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let pickle = load(bytes)?;
    let Value::Dict(pairs) = pickle.get(pickle.root()) else { return Err("is no table".to_owned()) };
    let pair = |&(key, value): &(Id, Id)| {
        let mut json = Vec::new();
        put_json(&pickle, value, 0, &mut json)?;
        Ok((words(&pickle, key)?.to_owned(), String::from_utf8(json).map_err(|error| error.to_string())?))
    };
    pairs.iter().map(pair).collect()
}

fn load(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    Pickle::load(bytes, &Limits::default()).map_err(|error| error.message)
}

/// The attributes of an instance of a class of that name, in whatever module.
fn instance(pickle: &Pickle<'_>, id: Id, class: &str) -> Result<Id, String> {
    let Value::Object(object) = pickle.get(id) else { return Err(format!("has no {class}")) };
    // Protocols before 2 make an instance with `copyreg._reconstructor(class, …)`.
    let first = pickle.items(object.args).and_then(|args| args.first().copied());
    let named = [Some(object.class), first].into_iter().flatten().filter_map(|id| pickle.global(id));
    let is_one = named.into_iter().any(|(_, name)| name.rsplit('.').next() == Some(class));
    object.state.filter(|_| is_one).ok_or_else(|| format!("has no {class}"))
}

fn part(pickle: &Pickle<'_>, table: Id, key: &str) -> Result<Id, String> {
    pickle.item(table, key).ok_or_else(|| format!("has no \"{key}\""))
}

fn number(pickle: &Pickle<'_>, id: Id) -> Result<f64, String> {
    match pickle.get(id) {
        Value::Float(number) => Ok(*number),
        #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
        Value::Int(number) => Ok(*number as f64),
        _ => Err("has a timestamp that is no number".to_owned()),
    }
}

fn words<'p>(pickle: &'p Pickle<'_>, id: Id) -> Result<&'p str, String> {
    match pickle.get(id) {
        Value::Text(text) => Ok(text),
        _ => Err("has something else where text should be".to_owned()),
    }
}

/// The type of an event: `EventType("test_fail")`, or by its name `getattr(EventType, "TEST_FAIL")` as Python 3.11 has it.
fn kind(pickle: &Pickle<'_>, id: Id) -> Result<String, String> {
    let none = || "has no EventType".to_owned();
    let Value::Object(object) = pickle.get(id) else { return Err(none()) };
    let args = pickle.items(object.args).unwrap_or_default();
    match (pickle.global(object.class), args) {
        (Some((_, "EventType")), &[value]) => words(pickle, value).map(str::to_owned),
        (Some((_, "getattr")), &[class, name])
            if pickle.global(class).is_some_and(|(_, name)| name == "EventType") =>
        {
            words(pickle, name).map(str::to_lowercase)
        }
        _ => Err(none()),
    }
}

/// Adds a value as JSON.
fn put_json(pickle: &Pickle<'_>, id: Id, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("has values nested more than {DEPTH_MAX} deep"));
    }
    match pickle.get(id) {
        Value::None => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Long(bytes) => out.extend_from_slice(decimal(bytes).as_bytes()),
        Value::Float(number) if number.is_finite() => {
            serde_json::to_writer(out, number).map_err(|error| error.to_string())?;
        }
        Value::Float(number) => return Err(format!("has the number {number}, which JSON does not have")),
        Value::Text(text) => put_string(text, out),
        Value::Surrogates(bytes) => put_surrogates(bytes, out),
        Value::Tuple(items) | Value::List(items) => {
            out.push(b'[');
            for (place, &item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                put_json(pickle, item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Dict(pairs) => {
            out.push(b'{');
            for (place, &(key, value)) in pairs.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                put_key(pickle, key, out)?;
                out.push(b':');
                put_json(pickle, value, depth + 1, out)?;
            }
            out.push(b'}');
        }
        other => return Err(format!("has something that JSON does not have: {}", name_of(other))),
    }
    Ok(())
}

fn name_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Bytes(_) => "bytes",
        Value::ByteArray(_) => "a bytearray",
        Value::Set(_) | Value::FrozenSet(_) => "a set",
        _ => "an object",
    }
}

/// A key is text in JSON, whatever it is in Python.
fn put_key(pickle: &Pickle<'_>, id: Id, out: &mut Vec<u8>) -> Result<(), String> {
    match pickle.get(id) {
        Value::Text(_) | Value::Surrogates(_) => put_json(pickle, id, 0, out),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Long(_) | Value::Float(_) => {
            out.push(b'"');
            put_json(pickle, id, 0, out)?;
            out.push(b'"');
            Ok(())
        }
        _ => Err("has a key that JSON does not have".to_owned()),
    }
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Mostly it stands as it is.
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        text.chars().for_each(|character| put_character(character, out));
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

/// Text with halves of pairs, which have three bytes each (`surrogatepass`).
fn put_surrogates(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while !rest.is_empty() {
        let whole = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        whole.chars().for_each(|character| put_character(character, out));
        rest = &rest[whole.len()..];
        if let Some(&[lead, middle, last]) = rest.first_chunk() {
            let unit =
                (u16::from(lead & 0xf) << 12) | (u16::from(middle & 0x3f) << 6) | u16::from(last & 0x3f);
            put_half(unit, out);
        }
        rest = rest.get(3..).unwrap_or_default();
    }
    out.push(b'"');
}

/// The digits of a number in two's complement.
fn decimal(bytes: &[u8]) -> String {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut left: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut left {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    let mut digits = Vec::new();
    while left.iter().any(|&byte| byte > 0) {
        let mut rest = 0_u16;
        for byte in left.iter_mut().rev() {
            let number = rest << 8 | u16::from(*byte);
            *byte = (number / 10).to_le_bytes()[0];
            rest = number % 10;
        }
        digits.push(b'0' + rest.to_le_bytes()[0]);
    }
    digits.extend(negative.then_some(b'-'));
    digits.iter().rev().map(|&digit| char::from(digit)).collect()
}

/// The names of attributes so far.
type Names<'p> = Vec<(Cow<'p, str>, Id)>;

fn borrowed(attributes: &[(&'static str, Id)]) -> Vec<(Cow<'static, str>, Id)> {
    attributes.iter().map(|&(name, id)| (Cow::Borrowed(name), id)).collect()
}

/// Pickles events and tables.
pub(crate) struct Pickler {
    /// The module that the classes are in.
    module: String,
}

impl Pickler {
    pub(crate) fn new(module: &str) -> Self {
        Self { module: module.to_owned() }
    }

    /// An event; `data` and `state` are JSON.
    pub(crate) fn event(
        &self,
        timestamp: f64,
        kind: &str,
        player_id: &str,
        data: &str,
        state: &str,
    ) -> Result<Vec<u8>, String> {
        let mut pickle = Pickle::new();
        let mut names = Names::new();
        let event_type = self.class(&mut pickle, "EventType");
        let value = pickle.add(Value::Text(Cow::Borrowed(kind)));
        let args = pickle.add(Value::Tuple(vec![value]));
        let made = Object {
            made: Made::Call,
            class: event_type,
            args,
            kwargs: None,
            state: None,
            items: Vec::new(),
            pairs: Vec::new(),
        };
        let kind = pickle.add(Value::Object(Box::new(made)));
        let player = pickle.add(Value::Text(Cow::Borrowed(player_id)));
        let data = Reader::new(data, &mut pickle).value(0)?;
        let attributes = [("type", kind), ("player_id", player), ("data", data)];
        let event = self.instance(&mut pickle, &mut names, "GameEvent", borrowed(&attributes));
        let state = self.state(&mut pickle, &mut names, state)?;
        let timestamp = pickle.add(Value::Float(timestamp));
        let attributes = [("timestamp", timestamp), ("event", event), ("game_state", state)];
        let root = self.instance(&mut pickle, &mut names, "RecordedEvent", borrowed(&attributes));
        Encoder::encode(&pickle, root, PROTOCOL).map_err(|error| error.message)
    }

    /// A table of values that are JSON.
    pub(crate) fn table(pairs: &[(&str, String)]) -> Result<Vec<u8>, String> {
        let mut pickle = Pickle::new();
        let mut found = Vec::new();
        for (key, json) in pairs {
            let key = pickle.add(Value::Text(Cow::Borrowed(key)));
            found.push((key, Reader::new(json, &mut pickle).value(0)?));
        }
        let root = pickle.add(Value::Dict(found));
        Encoder::encode(&pickle, root, PROTOCOL).map_err(|error| error.message)
    }

    fn class<'p>(&self, pickle: &mut Pickle<'p>, name: &str) -> Id {
        pickle.add(Value::Global(Box::new((self.module.clone(), name.to_owned()))))
    }

    /// An instance with these attributes. Python has one object for a name, wherever it is used.
    fn instance<'p>(
        &self,
        pickle: &mut Pickle<'p>,
        names: &mut Names<'p>,
        class: &str,
        attributes: Vec<(Cow<'p, str>, Id)>,
    ) -> Id {
        let mut named = |(name, value): (Cow<'p, str>, Id)| {
            let known = names.iter().find(|(known, _)| *known == name).map(|(_, id)| *id);
            let id = known.unwrap_or_else(|| {
                let id = pickle.add(Value::Text(name.clone()));
                names.push((name, id));
                id
            });
            (id, value)
        };
        let pairs = attributes.into_iter().map(&mut named).collect();
        let made = Object {
            made: Made::New,
            class: self.class(pickle, class),
            args: pickle.add(Value::Tuple(Vec::new())),
            kwargs: None,
            state: Some(pickle.add(Value::Dict(pairs))),
            items: Vec::new(),
            pairs: Vec::new(),
        };
        pickle.add(Value::Object(Box::new(made)))
    }

    /// A state, with all attributes that the class has.
    fn state<'p>(
        &self,
        pickle: &mut Pickle<'p>,
        names: &mut Names<'p>,
        state: &'p str,
    ) -> Result<Id, String> {
        let root = Reader::new(state, pickle).value(0)?;
        let Value::Dict(pairs) = pickle.get(root).clone() else {
            return Err("has a state that is none".to_owned());
        };
        let mut attributes: Vec<(Cow<'p, str>, Id)> = Vec::with_capacity(STATE_KEYS.len());
        let mut pairs: Vec<(Cow<'p, str>, Id)> = pairs
            .into_iter()
            .filter_map(|(key, value)| match pickle.get(key) {
                Value::Text(text) => Some((text.clone(), value)),
                _ => None,
            })
            .collect();
        for key in &STATE_KEYS {
            let found =
                pairs.iter().position(|(name, _)| name == key.name).map(|place| pairs.remove(place).1);
            let value = match (found, key.name) {
                (Some(value), _) => value,
                (None, "other_players") => pickle.add(Value::List(Vec::new())),
                (None, _) => pickle.add(Value::None),
            };
            if let (true, Value::List(items)) = (key.pair, pickle.get(value).clone()) {
                attributes.push((Cow::Borrowed(key.name), pickle.add(Value::Tuple(items))));
            } else {
                attributes.push((Cow::Borrowed(key.name), value));
            }
        }
        // What else the state has is kept as attributes, too.
        attributes.extend(pairs);
        Ok(self.instance(pickle, names, "GameState", attributes))
    }
}
