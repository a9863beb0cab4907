//! Python pickles, protocols 0 to 5 (PEP 307, 3154, 574; opcodes as in CPython's `pickletools`), read without executing anything.
//!
//! [`Pickle::load`] makes a graph of values: what Python would call is kept as an [`Object`] with its arguments and state. Reading uses an
//! explicit stack, so that nesting costs no stack of ours; depth, objects and bytes are limited. [`Encoder`] writes protocols 2 to 5 as
//! CPython does, frames and memo included. Knows no convention of what a pickle holds.

pub mod cells;
mod encode;
mod literals;
mod machine;
mod numpy;
mod payload;
mod stack;
#[cfg(test)]
mod tests;
mod tokens;

use std::borrow::Cow;

use tapedeck_sdk::Error;

pub use encode::{Encoder, PROTOCOLS};
pub use numpy::Array;
pub use payload::{Payload, leading_float, pair_of, payload_of};

/// How much a pickle may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Its bytes.
    pub bytes_max: usize,
    /// Its values, each reference counted once.
    pub objects_max: usize,
    /// How deep values may be nested.
    pub depth_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 256 << 20, objects_max: 4 << 20, depth_max: 500 }
    }
}

/// A value of a [`Pickle`], by its place there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u32);

/// What Python would have called or made, kept as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// How it is made of `class` and `args`.
    pub made: Made,
    /// The class or function: mostly a [`Value::Global`].
    pub class: Id,
    /// The arguments: mostly a tuple.
    pub args: Id,
    /// The arguments by name, where there are any.
    pub kwargs: Option<Id>,
    /// What the object's state was set from.
    pub state: Option<Id>,
    /// What was appended to it.
    pub items: Vec<Id>,
    /// What was set in it by key.
    pub pairs: Vec<(Id, Id)>,
}

/// How an [`Object`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// `class(*args)` (`REDUCE`, and `INST` and `OBJ` of Python 2).
    Call,
    /// `class.__new__(class, *args, **kwargs)` (`NEWOBJ`, `NEWOBJ_EX`).
    New,
}

/// A value. Containers name their parts by [`Id`]; the same part may stand in several, also in itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// An `int` of up to 64 bits.
    Int(i64),
    /// A larger `int`: two's complement, little-endian, no byte more than needed.
    Long(Cow<'a, [u8]>),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Text(Cow<'a, str>),
    /// A `str` with lone surrogates, in Python's `surrogatepass` form of UTF-8.
    Surrogates(Cow<'a, [u8]>),
    /// `bytes`, and a `str` of Python 2 that is not ASCII.
    Bytes(Cow<'a, [u8]>),
    /// A `bytearray`.
    ByteArray(Cow<'a, [u8]>),
    /// A `tuple`.
    Tuple(Vec<Id>),
    /// A `list`.
    List(Vec<Id>),
    /// A `dict`: of equal keys the last one counts.
    Dict(Vec<(Id, Id)>),
    /// A `set`.
    Set(Vec<Id>),
    /// A `frozenset`.
    FrozenSet(Vec<Id>),
    /// A class or function, by module and name.
    Global(Box<(String, String)>),
    /// Something that Python makes by a call.
    Object(Box<Object>),
    /// A reference to something outside of the pickle, by its name.
    Persistent(Id),
    /// A class by its number in Python's extension registry.
    Extension(u32),
}

impl Value<'_> {
    /// An `int` by its decimal digits. `None` if they are none, or too many even for Python.
    #[must_use]
    pub fn decimal(digits: &str) -> Option<Value<'static>> {
        literals::decimal(digits.as_bytes())
    }
}

/// A pickle that was read.
#[derive(Debug, Clone, Default)]
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    protocol: u8,
}

impl<'a> Pickle<'a> {
    /// Values to be put together for an [`Encoder`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value. Its parts were added before it.
    pub fn add(&mut self, value: Value<'a>) -> Id {
        self.values.push(value);
        Id(u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX))
    }

    /// Reads a pickle. What follows its end is left alone.
    ///
    /// # Errors
    /// It is torn, damaged, or larger or deeper than `limits` allow. The message says at which byte.
    pub fn load(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        Self::load_prefix(bytes, limits).map(|(pickle, _)| pickle)
    }

    /// As [`load`](Self::load), with how many bytes the pickle has: several may follow each other.
    ///
    /// # Errors
    /// As for `load`.
    pub fn load_prefix(bytes: &'a [u8], limits: &Limits) -> Result<(Self, usize), Error> {
        let loaded = machine::load(bytes, limits)?;
        Ok((Self { values: loaded.values, root: loaded.root.id, protocol: loaded.protocol }, loaded.end))
    }

    /// What was pickled.
    #[must_use]
    pub fn root(&self) -> Id {
        self.root
    }

    /// The protocol it was written with.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// A value.
    #[must_use]
    pub fn get(&self, id: Id) -> &Value<'a> {
        self.values.get(id.0 as usize).unwrap_or(&Value::None)
    }

    /// The value of a text key in a dict.
    #[must_use]
    pub fn item(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(pairs) = self.get(dict) else { return None };
        let found =
            pairs.iter().rfind(|(name, _)| matches!(self.get(*name), Value::Text(name) if name == key));
        found.map(|&(_, value)| value)
    }

    /// Module and name of a class or function.
    #[must_use]
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global(global) => Some((&global.0, &global.1)),
            _ => None,
        }
    }

    /// The parts of a tuple or list.
    #[must_use]
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }
}
