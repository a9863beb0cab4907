//! JSON texts as the values that Python makes of them.

use std::borrow::Cow;

use tapedeck_kit::pickle::{Id, Pickle, Value};

use tapedeck_kit::json::unit;

/// How deep values may be nested.
const DEPTH_MAX: usize = 200;

/// Reads one text, which is JSON.
pub(crate) struct Reader<'p, 'a> {
    text: &'p str,
    at: usize,
    pickle: &'a mut Pickle<'p>,
}

impl<'p, 'a> Reader<'p, 'a> {
    pub(crate) fn new(text: &'p str, pickle: &'a mut Pickle<'p>) -> Self {
        Self { text, at: 0, pickle }
    }

    /// Reads the next value.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Id, String> {
        if depth > DEPTH_MAX {
            return Err(format!("has values nested more than {DEPTH_MAX} deep"));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => self.string()?,
            _ => self.plain()?,
        };
        Ok(self.pickle.add(value))
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a byte if it is the next one.
    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn object(&mut self, depth: usize) -> Result<Value<'p>, String> {
        self.at += 1;
        let mut pairs: Vec<(Id, Id)> = Vec::new();
        while !self.takes(b'}') {
            if !pairs.is_empty() && !self.takes(b',') || self.peek() != Some(b'"') {
                return Err(self.wrong());
            }
            let key = self.string()?;
            let key = self.pickle.add(key);
            if !self.takes(b':') {
                return Err(self.wrong());
            }
            pairs.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Dict(pairs))
    }

    fn list(&mut self, depth: usize) -> Result<Value<'p>, String> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.takes(b']') {
            if !items.is_empty() && !self.takes(b',') {
                return Err(self.wrong());
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn string(&mut self) -> Result<Value<'p>, String> {
        self.at += 1;
        let rest = &self.text[self.at..];
        let Some(end) = rest.find(['"', '\\']) else { return Err(self.wrong()) };
        if rest.as_bytes()[end] == b'"' {
            self.at += end + 1;
            return Ok(Value::Text(Cow::Borrowed(&rest[..end])));
        }
        let mut bytes = Vec::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(end) = memchr::memchr2(b'"', b'\\', rest) else { return Err(self.wrong()) };
            bytes.extend_from_slice(&rest[..end]);
            self.at += end + 1;
            if rest[end] == b'"' {
                break;
            }
            self.escape(&mut bytes)?;
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(error) => Value::Surrogates(Cow::Owned(error.into_bytes())),
        })
    }

    /// Adds the character of an escape, behind its backslash. Half of a pair has three bytes, as Python's `surrogatepass` has it.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let rest = &self.text.as_bytes()[self.at - 1..];
        if let Some(unit_here) = unit(rest) {
            self.at += 5;
            let low = unit(&self.text.as_bytes()[self.at..]).filter(|low| (0xdc00..0xe000).contains(low));
            let pair = low.filter(|_| (0xd800..0xdc00).contains(&unit_here));
            self.at += if pair.is_some() { 6 } else { 0 };
            let units = [unit_here, pair.unwrap_or(0)];
            match char::decode_utf16(units).next() {
                Some(Ok(character)) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => {
                    let part = |shift: u32, mask: u16| (unit_here >> shift & mask).to_le_bytes()[0];
                    out.extend_from_slice(&[
                        0xe0 | part(12, 0xf),
                        0x80 | part(6, 0x3f),
                        0x80 | part(0, 0x3f),
                    ]);
                }
            }
            return Ok(());
        }
        self.at += 1;
        out.push(match rest.get(1) {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(&other @ (b'"' | b'\\' | b'/')) => other,
            _ => return Err(self.wrong()),
        });
        Ok(())
    }

    /// A number, or one of the three words.
    fn plain(&mut self) -> Result<Value<'p>, String> {
        let rest = &self.text[self.at..];
        let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        let float = || word.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float);
        let found = match word {
            "null" => Some(Value::None),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            word if word.contains(['.', 'e', 'E']) => float(),
            // A number that is written as a whole one is an `int`, however large.
            word => Value::decimal(word),
        };
        found.ok_or_else(|| self.wrong())
    }

    fn wrong(&self) -> String {
        format!("has JSON that is none at byte {}", self.at)
    }
}
