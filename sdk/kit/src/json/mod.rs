//! JSON texts in other notations, and objects taken apart without reading their values.

mod notation;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use notation::{Layout, put_ascii, put_character, put_half, put_line, put_plain, unit};

/// The keys of an object, in their order, and their values as they stand there. A key may come twice.
pub struct Pairs<'text>(pub Vec<(Cow<'text, str>, &'text RawValue)>);

impl<'de: 'text, 'text> Deserialize<'de> for Pairs<'text> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, _>()? {
                    pairs.push((key.0, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

/// A key, borrowed from the text where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'text>(#[serde(borrow)] Cow<'text, str>);
