//! A value of a pair as a pickle of its own: the second half of `(timestamp, data)`, with the bytes it was written with. And the other way.

use tapedeck_sdk::Error;

use super::tokens::{Argument, Token, Tokens, wrong};
use super::{Encoder, Id, Limits, Pickle, Value, machine};

/// The first protocol whose tuples of two have an opcode of their own.
const SHORT_TUPLES: u8 = 2;
/// The first protocol that numbers its memo by itself, and has frames.
const FRAMES: u8 = 4;
/// The opcodes that protocol 1 has and protocol 0 has not.
const BINARY: &[u8] = b"JKMTUXGhjqr])}eu";
/// The most bytes of one frame, as CPython's pickler has it.
const FRAME_BYTES: usize = 64 << 10;

/// A pickled pair.
#[derive(Debug)]
pub struct Payload<'a> {
    /// All values of the pair.
    pub pickle: Pickle<'a>,
    /// The first value.
    pub first: Id,
    /// The second value.
    pub second: Id,
    /// The second value as a pickle of its own.
    pub bytes: Vec<u8>,
}

/// Reads a pickled pair.
///
/// # Errors
/// As for [`Pickle::load`], and anything that is no pair.
pub fn payload_of<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Payload<'a>, Error> {
    let loaded = machine::load(bytes, limits)?;
    let (root, protocol) = (loaded.root.id, loaded.protocol);
    let pickle = Pickle { values: loaded.values, root, protocol };
    let Value::Tuple(parts) = pickle.get(root) else {
        return Err(Error::data("not a pair: the pickle holds no tuple"));
    };
    let &[first, second] = parts.as_slice() else {
        return Err(Error::data(format!("not a pair: the pickle holds a tuple of {}", parts.len())));
    };
    let made = loaded.last_pair.filter(|pair| pair.id == root).map(|pair| pair.second);
    let own = made.map(|made| alone(bytes, made.start, made.end, protocol)).transpose()?.flatten();
    let bytes = match own {
        Some(own) => own,
        None => Encoder::encode(&pickle, second, protocol.clamp(FRAMES, 5))?,
    };
    Ok(Payload { pickle, first, second, bytes })
}

/// The opcodes of a value as a pickle of its own. `None` if they need a value that was kept before them.
fn alone(bytes: &[u8], begin: usize, end: usize, protocol: u8) -> Result<Option<Vec<u8>>, Error> {
    let mut out = if protocol >= SHORT_TUPLES { vec![0x80, protocol] } else { Vec::new() };
    let (before, _) = kept(bytes, 0, begin)?;
    let mut tokens = Tokens::new(bytes, begin);
    let mut known = Vec::new();
    loop {
        let token = tokens.next()?;
        if token.at >= end {
            break;
        }
        match (token.opcode, memo_number(&token)) {
            (0x95, _) => continue,
            (0x94, _) if before > 0 => return Ok(None),
            (b'p' | b'q' | b'r', number) => known.extend(number),
            (b'g' | b'h' | b'j', Some(number)) if before > 0 && !known.contains(&number) => return Ok(None),
            _ => {}
        }
        out.extend_from_slice(&bytes[token.at..token.end]);
    }
    out.push(b'.');
    Ok(Some(out))
}

fn memo_number(token: &Token) -> Option<i64> {
    match token.argument {
        Argument::Number(number) => Some(number),
        Argument::Lines(line, _) => std::str::from_utf8(line).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// How many values are kept by the opcodes from one byte to another, and the byte behind the last opcode.
fn kept(bytes: &[u8], begin: usize, end: usize) -> Result<(u32, usize), Error> {
    let mut tokens = Tokens::new(bytes, begin);
    let (mut count, mut at) = (0, begin);
    while at < end {
        let token = tokens.next()?;
        at = token.end;
        count += u32::from(matches!(token.opcode, b'p' | b'q' | b'r' | 0x94));
        if token.opcode == b'.' {
            break;
        }
    }
    Ok((count, at))
}

/// A pair of a float and a value that is a pickle of its own, as CPython pickles it. The value's opcodes stay as they are.
///
/// # Errors
/// The value's pickle is torn or damaged.
pub fn pair_of(first: f64, second: &[u8]) -> Result<Vec<u8>, Error> {
    let mut tokens = Tokens::new(second, 0);
    let (mut protocol, mut begin) = (0, 0);
    let mut body = Vec::with_capacity(second.len() + 32);
    let mut count = 0_u32;
    loop {
        let token = tokens.next()?;
        match (token.opcode, token.argument) {
            (b'.', _) => break,
            (0x80, Argument::Number(number)) => protocol = u8::try_from(number).unwrap_or(0),
            (0x95, _) => {}
            (opcode, _) => {
                // Protocol 1 does not say that it is not 0.
                if protocol == 0 && BINARY.contains(&opcode) {
                    protocol = 1;
                }
                count += u32::from(matches!(opcode, b'p' | b'q' | b'r' | 0x94));
                body.extend_from_slice(&second[token.at..token.end]);
            }
        }
        begin = token.end;
    }
    if body.is_empty() {
        return Err(wrong(begin, "it holds no value"));
    }
    Ok(joined(first, &body, protocol, count))
}

fn joined(first: f64, body: &[u8], protocol: u8, count: u32) -> Vec<u8> {
    let mut inner = Vec::with_capacity(body.len() + 32);
    match protocol {
        0 => inner.extend_from_slice(format!("(F{}\n", python_repr(first)).as_bytes()),
        1 => inner.push(b'('),
        _ => {}
    }
    if protocol > 0 {
        inner.push(b'G');
        inner.extend_from_slice(&first.to_be_bytes());
    }
    inner.extend_from_slice(body);
    inner.push(if protocol >= SHORT_TUPLES { 0x86 } else { b't' });
    match (protocol, u8::try_from(count)) {
        (0, _) => inner.extend_from_slice(format!("p{count}\n").as_bytes()),
        (FRAMES.., _) => inner.push(0x94),
        (_, Ok(count)) => inner.extend_from_slice(&[b'q', count]),
        _ => {
            inner.push(b'r');
            inner.extend_from_slice(&count.to_le_bytes());
        }
    }
    inner.push(b'.');
    let mut out = Vec::with_capacity(inner.len() + 11);
    if protocol >= SHORT_TUPLES {
        out.extend_from_slice(&[0x80, protocol]);
    }
    if protocol >= FRAMES && inner.len() < FRAME_BYTES {
        out.push(0x95);
        out.extend_from_slice(&(inner.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(&inner);
    out
}

/// A float as Python's `repr` writes it: the shortest digits that read back the same.
fn python_repr(float: f64) -> String {
    let shortest = format!("{float:?}");
    shortest.replace("NaN", "nan")
}

/// The float that a pickled pair begins with, by its first bytes. `None` if they don't tell.
#[must_use]
pub fn leading_float(head: &[u8]) -> Option<f64> {
    let mut tokens = Tokens::new(head, 0);
    loop {
        let token = tokens.next().ok()?;
        match (token.opcode, token.argument) {
            (0x80 | 0x95 | b'(', _) => {}
            (b'G', Argument::Float(float)) => return Some(float),
            (b'F', Argument::Lines(line, _)) => return std::str::from_utf8(line).ok()?.trim().parse().ok(),
            _ => return None,
        }
    }
}
