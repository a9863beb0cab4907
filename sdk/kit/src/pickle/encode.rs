//! Writes values as pickles of protocol 4 or 5, with the opcodes, memo and frames of CPython's own pickler.

use tapedeck_sdk::Error;

use super::{Id, Made, Object, Pickle, Value};

/// The first and the last protocol that is written: Python reads them since 3.4 and 3.8.
pub const PROTOCOLS: std::ops::RangeInclusive<u8> = 4..=5;

/// How many values go into a container at once.
const BATCH: usize = 1000;
/// A frame is closed once it has this many bytes, and larger values stand outside of frames.
const FRAME_BYTES: usize = 64 << 10;
/// A frame has at least this many bytes.
const FRAME_BYTES_MIN: usize = 4;
/// How deep values may be nested, as no value that was loaded with the default limits is.
const DEPTH_MAX: u32 = 1000;

/// Writes one pickle.
pub struct Encoder<'p> {
    pickle: &'p Pickle<'p>,
    protocol: u8,
    out: Vec<u8>,
    /// Where the open frame begins: the place of its opcode.
    frame: Option<usize>,
    /// The place of each value, by its id.
    memo: Vec<Option<u32>>,
    memoized: u32,
}

impl<'p> Encoder<'p> {
    /// Writes a value of these as a pickle of protocol 4 or 5. The same [`Id`] twice is the same object twice.
    ///
    /// # Errors
    /// A protocol that is not written, or values nested too deep.
    pub fn encode(pickle: &'p Pickle<'p>, root: Id, protocol: u8) -> Result<Vec<u8>, Error> {
        if !PROTOCOLS.contains(&protocol) {
            let error = Error::data(format!("pickles of protocol {protocol} are not written"));
            return Err(error.with_hint("`protocol` is 4 or 5"));
        }
        let out = vec![0x80, protocol];
        let mut encoder =
            Self { pickle, protocol, out, frame: None, memo: vec![None; pickle.values.len()], memoized: 0 };
        encoder.value(root, 0)?;
        encoder.op(b'.');
        encoder.close_frame();
        Ok(encoder.out)
    }

    fn value(&mut self, id: Id, depth: u32) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::data(format!("values are nested more than {DEPTH_MAX} deep")));
        }
        if let Some(place) = self.memo.get(id.0 as usize).copied().flatten() {
            self.numbered(place, b'h', b'j');
        } else {
            self.fresh(id, depth)?;
        }
        if self.frame.is_some_and(|begin| self.out.len() - begin - 9 >= FRAME_BYTES) {
            self.close_frame();
        }
        Ok(())
    }

    fn fresh(&mut self, id: Id, depth: u32) -> Result<(), Error> {
        match self.pickle.get(id) {
            Value::None => self.op(b'N'),
            Value::Bool(value) => self.op(if *value { 0x88 } else { 0x89 }),
            Value::Int(number) => self.int(*number),
            Value::Long(bytes) => self.long(bytes),
            Value::Float(float) => self.with(b'G', &float.to_be_bytes()),
            Value::Text(text) => self.counted(id, text.as_bytes(), [0x8c, b'X', 0x8d]),
            Value::Surrogates(bytes) => self.counted(id, bytes, [0x8c, b'X', 0x8d]),
            Value::Bytes(bytes) => self.counted(id, bytes, [b'C', b'B', 0x8e]),
            Value::ByteArray(bytes) => self.byte_array(id, bytes),
            Value::Tuple(items) => self.tuple(id, items, depth)?,
            Value::List(items) => {
                self.op(b']');
                self.memoize(id);
                self.fill(items, [b'a', b'e'], depth)?;
            }
            Value::Dict(pairs) => {
                self.op(b'}');
                self.memoize(id);
                self.set_items(pairs, depth)?;
            }
            Value::Set(items) => {
                self.op(0x8f);
                self.memoize(id);
                for items in items.chunks(BATCH) {
                    self.marked(items, 0x90, depth)?;
                }
            }
            Value::FrozenSet(items) => {
                self.marked(items, 0x91, depth)?;
                self.memoize(id);
            }
            Value::Global(global) => {
                self.name(&global.0, &global.1);
                self.memoize(id);
            }
            Value::Object(object) => self.object(id, object, depth)?,
            Value::Persistent(name) => {
                self.value(*name, depth + 1)?;
                self.op(b'Q');
            }
            Value::Extension(code) => match (u8::try_from(*code), u16::try_from(*code)) {
                (Ok(code), _) => self.with(0x82, &[code]),
                (_, Ok(code)) => self.with(0x83, &code.to_le_bytes()),
                _ => self.with(0x84, &code.to_le_bytes()),
            },
        }
        Ok(())
    }

    fn int(&mut self, number: i64) {
        match (u8::try_from(number), u16::try_from(number), i32::try_from(number)) {
            (Ok(number), ..) => self.with(b'K', &[number]),
            (_, Ok(number), _) => self.with(b'M', &number.to_le_bytes()),
            (.., Ok(number)) => self.with(b'J', &number.to_le_bytes()),
            _ => {
                let bytes = number.to_le_bytes();
                let fill = if number < 0 { 0xff } else { 0 };
                let spare = |length: &usize| bytes[*length..].iter().all(|&byte| byte == fill);
                let signed = |length: &usize| (bytes[length - 1] >= 0x80) == (number < 0);
                let length = (1..8).find(|length| spare(length) && signed(length)).unwrap_or(8);
                self.long(&bytes[..length]);
            }
        }
    }

    fn long(&mut self, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.with(0x8a, &[length]),
            Err(_) => self.with(0x8b, &u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()),
        }
        self.out.extend_from_slice(bytes);
    }

    /// Text or bytes behind their length, by the shortest of three opcodes; large ones outside of frames.
    fn counted(&mut self, id: Id, bytes: &[u8], opcodes: [u8; 3]) {
        if bytes.len() >= FRAME_BYTES {
            self.close_frame();
        } else {
            self.open_frame();
        }
        self.length(bytes.len(), opcodes);
        self.out.extend_from_slice(bytes);
        self.memoize(id);
    }

    fn length(&mut self, length: usize, [short, medium, long]: [u8; 3]) {
        match (u8::try_from(length), u32::try_from(length)) {
            (Ok(length), _) => self.out.extend_from_slice(&[short, length]),
            (_, Ok(length)) => {
                self.out.push(medium);
                self.out.extend_from_slice(&length.to_le_bytes());
            }
            _ => {
                self.out.push(long);
                self.out.extend_from_slice(&(length as u64).to_le_bytes());
            }
        }
    }

    fn byte_array(&mut self, id: Id, bytes: &[u8]) {
        if self.protocol >= 5 {
            if bytes.len() >= FRAME_BYTES {
                self.close_frame();
            } else {
                self.open_frame();
            }
            self.out.push(0x96);
            self.out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            self.out.extend_from_slice(bytes);
            self.memoize(id);
            return;
        }
        self.name("builtins", "bytearray");
        self.memoized += 1;
        self.op(0x94);
        self.open_frame();
        self.length(bytes.len(), [b'C', b'B', 0x8e]);
        self.out.extend_from_slice(bytes);
        for opcode in [0x94, 0x85, 0x94, b'R'] {
            self.op(opcode);
        }
        self.memoized += 2;
        self.memoize(id);
    }

    fn tuple(&mut self, id: Id, items: &[Id], depth: u32) -> Result<(), Error> {
        if items.is_empty() {
            self.op(b')');
            return Ok(());
        }
        if items.len() > 3 {
            self.marked(items, b't', depth)?;
        } else {
            for &item in items {
                self.value(item, depth + 1)?;
            }
            self.op([0x85, 0x86, 0x87][items.len() - 1]);
        }
        self.memoize(id);
        Ok(())
    }

    fn marked(&mut self, items: &[Id], opcode: u8, depth: u32) -> Result<(), Error> {
        self.op(b'(');
        for &item in items {
            self.value(item, depth + 1)?;
        }
        self.op(opcode);
        Ok(())
    }

    fn fill(&mut self, items: &[Id], [one, many]: [u8; 2], depth: u32) -> Result<(), Error> {
        for items in items.chunks(BATCH) {
            if let &[item] = items {
                self.value(item, depth + 1)?;
                self.op(one);
            } else {
                self.marked(items, many, depth)?;
            }
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: &[(Id, Id)], depth: u32) -> Result<(), Error> {
        for pairs in pairs.chunks(BATCH) {
            let flat: Vec<Id> = pairs.iter().flat_map(|&(key, value)| [key, value]).collect();
            if let &[key, value] = flat.as_slice() {
                self.value(key, depth + 1)?;
                self.value(value, depth + 1)?;
                self.op(b's');
            } else {
                self.marked(&flat, b'u', depth)?;
            }
        }
        Ok(())
    }

    fn object(&mut self, id: Id, object: &Object, depth: u32) -> Result<(), Error> {
        self.value(object.class, depth + 1)?;
        self.value(object.args, depth + 1)?;
        match (object.made, object.kwargs) {
            (Made::Call, _) => self.op(b'R'),
            (Made::New, None) => self.op(0x81),
            (Made::New, Some(kwargs)) => {
                self.value(kwargs, depth + 1)?;
                self.op(0x92);
            }
        }
        self.memoize(id);
        self.fill(&object.items, [b'a', b'e'], depth)?;
        self.set_items(&object.pairs, depth)?;
        if let Some(state) = object.state {
            self.value(state, depth + 1)?;
            self.op(b'b');
        }
        Ok(())
    }

    /// A class or function by its name.
    fn name(&mut self, module: &str, name: &str) {
        for text in [module, name] {
            self.open_frame();
            self.length(text.len(), [0x8c, b'X', 0x8d]);
            self.out.extend_from_slice(text.as_bytes());
            self.op(0x94);
            self.memoized += 1;
        }
        self.op(0x93);
    }

    fn memoize(&mut self, id: Id) {
        self.op(0x94);
        if let Some(place) = self.memo.get_mut(id.0 as usize) {
            *place = Some(self.memoized);
        }
        self.memoized += 1;
    }

    fn numbered(&mut self, place: u32, short: u8, long: u8) {
        match u8::try_from(place) {
            Ok(place) => self.with(short, &[place]),
            Err(_) => self.with(long, &place.to_le_bytes()),
        }
    }

    fn op(&mut self, opcode: u8) {
        self.with(opcode, &[]);
    }

    fn with(&mut self, opcode: u8, argument: &[u8]) {
        self.open_frame();
        self.out.push(opcode);
        self.out.extend_from_slice(argument);
    }

    fn open_frame(&mut self) {
        if self.frame.is_none() {
            self.frame = Some(self.out.len());
            self.out.extend_from_slice(&[0x95, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    fn close_frame(&mut self) {
        let Some(begin) = self.frame.take() else { return };
        let length = self.out.len() - begin - 9;
        if length < FRAME_BYTES_MIN {
            self.out.drain(begin..begin + 9);
        } else {
            self.out[begin + 1..begin + 9].copy_from_slice(&(length as u64).to_le_bytes());
        }
    }
}
