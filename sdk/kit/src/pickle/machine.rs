//! Runs the opcodes of a pickle on an explicit stack, and makes values of them. What Python would call is kept, never called.

use std::borrow::Cow;

use tapedeck_sdk::Error;

use super::literals::{decimal, long, old_text, quoted, raw_unicode, text, to_latin1};
use super::stack::{Entry, Pair, Stack};
use super::tokens::{Argument, Token, Tokens, wrong};
use super::{Id, Limits, Made, Object, Value};

/// What was read.
pub(super) struct Loaded<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) root: Entry,
    pub(super) protocol: u8,
    /// The byte behind the pickle.
    pub(super) end: usize,
    /// The last tuple of two values.
    pub(super) last_pair: Option<Pair>,
}

pub(super) fn load<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Loaded<'a>, Error> {
    if bytes.len() > limits.bytes_max {
        let (has, most) = (bytes.len(), limits.bytes_max);
        return Err(Error::data(format!("a pickle of {has} bytes: the most is {most}")));
    }
    let mut machine = Stack::new(bytes.len(), *limits);
    let mut tokens = Tokens::new(bytes, 0);
    let mut protocol = 0;
    loop {
        let token = tokens.next()?;
        match token.opcode {
            b'.' => {
                let root = machine.pop(token.at)?;
                let Stack { values, last_pair, .. } = machine;
                return Ok(Loaded { values, root, protocol, end: token.end, last_pair });
            }
            0x80 => protocol = known_protocol(&token)?,
            0x95 => {}
            _ => machine.run(&token)?,
        }
    }
}

fn known_protocol(token: &Token) -> Result<u8, Error> {
    match token.argument {
        Argument::Number(number @ 0..=5) => Ok(u8::try_from(number).unwrap_or(0)),
        Argument::Number(other) => Err(Error::data(format!("pickle protocol {other} is not known"))
            .with_hint("protocols 0 to 5 are read")),
        _ => Err(wrong(token.at, "a protocol without its number")),
    }
}

impl<'a> Stack<'a> {
    fn run(&mut self, token: &Token<'a>) -> Result<(), Error> {
        match token.argument {
            Argument::Nothing => self.plain(token),
            Argument::Number(number) => self.numbered(token, number),
            Argument::Float(float) => self.push(token.at, Value::Float(float)),
            Argument::Bytes(bytes) => self.counted(token, bytes),
            Argument::Lines(first, second) => self.lines(token, first, second),
        }
    }

    fn plain(&mut self, token: &Token<'a>) -> Result<(), Error> {
        let at = token.at;
        match token.opcode {
            b'(' => {
                self.mark(at);
                Ok(())
            }
            b'0' => {
                // A mark on top goes first.
                if self.close_empty_mark() { Ok(()) } else { self.pop(at).map(drop) }
            }
            b'1' => self.pop_mark(at).map(drop),
            b'2' => {
                let top = self.top(at)?;
                self.push_again(top.id, at);
                Ok(())
            }
            b'N' => self.push(at, Value::None),
            0x88 | 0x89 => self.push(at, Value::Bool(token.opcode == 0x88)),
            b')' => self.push(at, Value::Tuple(Vec::new())),
            b']' => self.push(at, Value::List(Vec::new())),
            b'}' => self.push(at, Value::Dict(Vec::new())),
            0x8f => self.push(at, Value::Set(Vec::new())),
            0x85..=0x87 => self.short_tuple(token),
            b't' | b'l' | b'd' | 0x91 => self.of_mark(token),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(token),
            b'R' | 0x81 | 0x92 | b'o' | b'b' | b'Q' | 0x93 => self.object(token),
            0x94 => {
                let top = self.top(at)?;
                self.memoize(at, self.memoized, top.id)
            }
            0x97 | 0x98 => Err(wrong(at, "a buffer that was pickled apart (protocol 5, out of band)")),
            _ => Err(wrong(at, "an opcode without its argument")),
        }
    }

    fn numbered(&mut self, token: &Token<'a>, number: i64) -> Result<(), Error> {
        let at = token.at;
        match token.opcode {
            b'J' | b'K' | b'M' => self.push(at, Value::Int(number)),
            b'h' | b'j' => self.recall(at, number),
            b'q' | b'r' => {
                let top = self.top(at)?;
                self.memoize(at, usize::try_from(number).unwrap_or(usize::MAX), top.id)
            }
            _ => {
                let code = u32::try_from(number).ok().filter(|&code| code > 0);
                self.push(at, Value::Extension(code.ok_or_else(|| wrong(at, "an extension without number"))?))
            }
        }
    }

    fn counted(&mut self, token: &Token<'a>, bytes: &'a [u8]) -> Result<(), Error> {
        let value = match token.opcode {
            b'T' | b'U' => old_text(Cow::Borrowed(bytes)),
            b'X' | 0x8c | 0x8d => text(Cow::Borrowed(bytes)),
            0x8a | 0x8b => long(Cow::Borrowed(bytes)),
            0x96 => Value::ByteArray(Cow::Borrowed(bytes)),
            _ => Value::Bytes(Cow::Borrowed(bytes)),
        };
        self.push(token.at, value)
    }

    fn lines(&mut self, token: &Token<'a>, first: &'a [u8], second: &'a [u8]) -> Result<(), Error> {
        let at = token.at;
        let number =
            |line: &[u8]| std::str::from_utf8(line).ok().and_then(|line| line.trim().parse::<i64>().ok());
        match token.opcode {
            b'I' if first == b"00" || first == b"01" => self.push(at, Value::Bool(first == b"01")),
            b'I' | b'L' => {
                let value = decimal(first.strip_suffix(b"L").unwrap_or(first));
                self.push(at, value.ok_or_else(|| wrong(at, "not an integer"))?)
            }
            b'F' => {
                let float = std::str::from_utf8(first).ok().and_then(|line| line.trim().parse().ok());
                self.push(at, Value::Float(float.ok_or_else(|| wrong(at, "not a number"))?))
            }
            b'g' => self.recall(at, number(first).unwrap_or(-1)),
            b'p' => {
                let top = self.top(at)?;
                let place = number(first).and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX);
                self.memoize(at, place, top.id)
            }
            b'S' => {
                let quoted = quoted(first).ok_or_else(|| wrong(at, "a text without its quotes"))?;
                self.push(at, old_text(Cow::Owned(quoted)))
            }
            b'V' => self.push(at, raw_unicode(first).ok_or_else(|| wrong(at, "an invalid \\u in a text"))?),
            b'P' => {
                let name = self.add(at, text(Cow::Borrowed(first)), 0)?;
                self.push_over(at, Value::Persistent(name), &[name])
            }
            _ => {
                let name = |line| String::from_utf8_lossy(line).into_owned();
                let class = self.add(at, Value::Global(Box::new((name(first), name(second)))), 0)?;
                if token.opcode == b'c' {
                    self.push_again(class, at);
                    return Ok(());
                }
                let (args, begin) = self.pop_mark(at)?;
                self.call(begin, class, args)
            }
        }
    }

    fn short_tuple(&mut self, token: &Token) -> Result<(), Error> {
        let count = usize::from(token.opcode - 0x84);
        let parts = self.pop_many(token.at, count)?;
        self.tuple(parts[0].at, token.at, &parts)
    }

    /// A tuple that begins at a byte; its parts end at another.
    fn tuple(&mut self, at: usize, end: usize, parts: &[Entry]) -> Result<(), Error> {
        let ids: Vec<Id> = parts.iter().map(|part| part.id).collect();
        self.push_over(at, Value::Tuple(ids.clone()), &ids)?;
        let id = self.top(at)?.id;
        if let [_, second] = parts {
            self.last_pair = Some(Pair { id, second: second.at..end });
        }
        Ok(())
    }

    fn of_mark(&mut self, token: &Token) -> Result<(), Error> {
        let (parts, at) = self.pop_mark(token.at)?;
        if token.opcode == b't' {
            return self.tuple(at, token.at, &parts);
        }
        let ids: Vec<Id> = parts.iter().map(|part| part.id).collect();
        let value = match token.opcode {
            b'l' => Value::List(ids.clone()),
            b'd' => Value::Dict(pairs(&ids).ok_or_else(|| wrong(token.at, "a key without its value"))?),
            _ => Value::FrozenSet(ids.clone()),
        };
        self.push_over(at, value, &ids)
    }

    /// Puts what is above a container into it.
    fn extend(&mut self, token: &Token) -> Result<(), Error> {
        let at = token.at;
        let parts = match token.opcode {
            b'a' => vec![self.pop(at)?],
            b's' => self.pop_many(at, 2)?,
            _ => self.pop_mark(at)?.0,
        };
        let container = self.top(at)?.id;
        let ids = parts.iter().map(|part| part.id);
        let keyed = matches!(token.opcode, b's' | b'u');
        let mut added = Vec::new();
        if keyed {
            let ids: Vec<Id> = ids.clone().collect();
            added = pairs(&ids).ok_or_else(|| wrong(at, "a key without its value"))?;
        }
        match (&mut self.values[container.0 as usize], token.opcode) {
            (Value::Dict(pairs), b's' | b'u') => pairs.extend(added),
            (Value::Object(object), b's' | b'u') => object.pairs.extend(added),
            (Value::List(items), b'a' | b'e') | (Value::Set(items), 0x90) => items.extend(ids),
            (Value::Object(object), b'a' | b'e' | 0x90) => object.items.extend(ids),
            _ => return Err(wrong(at, "something is put into a value that takes nothing")),
        }
        self.deepen(at, container, parts.iter().map(|part| part.id))
    }

    fn object(&mut self, token: &Token<'a>) -> Result<(), Error> {
        let at = token.at;
        match token.opcode {
            b'R' | 0x81 => {
                let parts = self.pop_many(at, 2)?;
                let made = if token.opcode == b'R' { Made::Call } else { Made::New };
                self.make(parts[0].at, made, (parts[0].id, parts[1].id, None))
            }
            0x92 => {
                let parts = self.pop_many(at, 3)?;
                self.make(parts[0].at, Made::New, (parts[0].id, parts[1].id, Some(parts[2].id)))
            }
            b'o' => {
                let (mut parts, begin) = self.pop_mark(at)?;
                if parts.is_empty() {
                    return Err(wrong(at, "an object without its class"));
                }
                let class = parts.remove(0).id;
                self.call(begin, class, parts)
            }
            b'Q' => {
                let name = self.pop(at)?;
                self.push_over(name.at, Value::Persistent(name.id), &[name.id])
            }
            0x93 => {
                let parts = self.pop_many(at, 2)?;
                let name = |entry: &Entry| match &self.values[entry.id.0 as usize] {
                    Value::Text(text) => Ok(text.to_string()),
                    _ => Err(wrong(at, "a class whose name is not a text")),
                };
                let global = Value::Global(Box::new((name(&parts[0])?, name(&parts[1])?)));
                self.push(parts[0].at, global)
            }
            _ => self.build(at),
        }
    }

    /// Sets the state of the object below it.
    fn build(&mut self, at: usize) -> Result<(), Error> {
        let state = self.pop(at)?.id;
        let id = self.top(at)?.id;
        match &mut self.values[id.0 as usize] {
            Value::Object(object) if object.state.is_none() => object.state = Some(state),
            _ => return Err(wrong(at, "a state for a value that has none, or has one")),
        }
        self.deepen(at, id, [state])
    }

    fn call(&mut self, at: usize, class: Id, args: Vec<Entry>) -> Result<(), Error> {
        let ids: Vec<Id> = args.iter().map(|part| part.id).collect();
        let depth = self.depth_over(at, &ids)?;
        let args = self.add(at, Value::Tuple(ids), depth)?;
        self.make(at, Made::Call, (class, args, None))
    }

    /// An object, or the plain value that Python's own classes stand for.
    fn make(
        &mut self,
        at: usize,
        made: Made,
        (class, args, kwargs): (Id, Id, Option<Id>),
    ) -> Result<(), Error> {
        if let (Made::Call, Some(value)) = (made, self.builtin(class, args)) {
            let parts = match &value {
                Value::Set(items) | Value::FrozenSet(items) => items.clone(),
                _ => Vec::new(),
            };
            return self.push_over(at, value, &parts);
        }
        let object = Object { made, class, args, kwargs, state: None, items: Vec::new(), pairs: Vec::new() };
        let parts: Vec<Id> = [class, args].into_iter().chain(kwargs).collect();
        self.push_over(at, Value::Object(Box::new(object)), &parts)
    }

    /// What protocols before 3 and 4 write as calls of Python's own: sets, bytes and byte arrays.
    fn builtin(&self, class: Id, args: Id) -> Option<Value<'a>> {
        let Value::Global(global) = &self.values[class.0 as usize] else { return None };
        let Value::Tuple(args) = &self.values[args.0 as usize] else { return None };
        let args: Vec<&Value> = args.iter().map(|id| &self.values[id.0 as usize]).collect();
        let latin1 = |encoding: &str| matches!(encoding, "latin1" | "latin-1");
        match (global.0.as_str(), global.1.as_str(), args.as_slice()) {
            ("builtins" | "__builtin__", "set", [Value::List(items)]) => Some(Value::Set(items.clone())),
            ("builtins" | "__builtin__", "frozenset", [Value::List(items)]) => {
                Some(Value::FrozenSet(items.clone()))
            }
            ("builtins" | "__builtin__", "bytes", []) => Some(Value::Bytes(Cow::Borrowed(b""))),
            ("builtins" | "__builtin__", "bytearray", []) => Some(Value::ByteArray(Cow::Borrowed(b""))),
            ("builtins" | "__builtin__", "bytearray", [Value::Bytes(bytes)]) => {
                Some(Value::ByteArray(bytes.clone()))
            }
            ("builtins" | "__builtin__", "bytearray", [Value::Text(text), Value::Text(encoding)])
                if latin1(encoding) =>
            {
                to_latin1(text).map(|bytes| Value::ByteArray(Cow::Owned(bytes)))
            }
            ("_codecs", "encode", [Value::Text(text), Value::Text(encoding)]) if latin1(encoding) => {
                to_latin1(text).map(|bytes| Value::Bytes(Cow::Owned(bytes)))
            }
            _ => None,
        }
    }
}

fn pairs(ids: &[Id]) -> Option<Vec<(Id, Id)>> {
    let (pairs, rest) = ids.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[key, value]| (key, value)).collect())
}
