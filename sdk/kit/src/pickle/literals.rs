//! The literals of pickles: texts, bytes and numbers in the forms that six protocols have for them.

use std::borrow::Cow;

use super::Value;

/// The most digits that a decimal `int` may have, as in Python.
const DIGITS_MAX: usize = 4300;

pub(super) fn text(bytes: Cow<'_, [u8]>) -> Value<'_> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(Cow::Borrowed(text)),
            Err(_) => Value::Surrogates(Cow::Borrowed(bytes)),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(error) => Value::Surrogates(Cow::Owned(error.into_bytes())),
        },
    }
}

/// A `str` of Python 2, which Python 3 takes for text if it is ASCII.
pub(super) fn old_text(bytes: Cow<'_, [u8]>) -> Value<'_> {
    if bytes.is_ascii() { text(bytes) } else { Value::Bytes(bytes) }
}

/// A number in two's complement, little-endian.
pub(super) fn long(bytes: Cow<'_, [u8]>) -> Value<'_> {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    // A last byte says nothing where the one before it has the sign already.
    let mut length = bytes.len();
    while length > 1 && bytes[length - 1] == fill && (bytes[length - 2] >= 0x80) == negative {
        length -= 1;
    }
    if length <= 8 {
        let mut number = [fill; 8];
        number[..length].copy_from_slice(&bytes[..length]);
        return Value::Int(i64::from_le_bytes(number));
    }
    match bytes {
        Cow::Borrowed(bytes) => Value::Long(Cow::Borrowed(&bytes[..length])),
        Cow::Owned(mut bytes) => {
            bytes.truncate(length);
            Value::Long(Cow::Owned(bytes))
        }
    }
}

pub(super) fn decimal(line: &[u8]) -> Option<Value<'static>> {
    let line = std::str::from_utf8(line).ok()?.trim();
    if let Ok(number) = line.parse() {
        return Some(Value::Int(number));
    }
    let (negative, digits) = match line.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, line.strip_prefix('+').unwrap_or(line)),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.bytes() {
        let mut carry = char::from(digit).to_digit(10)?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 10;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry.to_le_bytes()[0]);
        }
    }
    bytes.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut bytes {
            let (sum, over) = (!*byte).overflowing_add(carry.into());
            (*byte, carry) = (sum, over);
        }
    }
    Some(long(Cow::Owned(bytes)))
}

/// A text in quotes, with Python's escapes of bytes.
pub(super) fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii_end();
    let quote = *line.first().filter(|quote| matches!(quote, b'\'' | b'"'))?;
    let inner = line.get(1..)?.strip_suffix(&[quote])?;
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escaped = match rest.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'x' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let number = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                number.to_le_bytes()[0]
            }
            other @ (b'\\' | b'\'' | b'"') => other,
            other => {
                out.push(b'\\');
                other
            }
        };
        out.push(escaped);
    }
    Some(out)
}

/// A line of latin-1 with `\uXXXX` and `\UXXXXXXXX` in it.
pub(super) fn raw_unicode(line: &[u8]) -> Option<Value<'static>> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let digits = match &line[at..] {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        let code = if digits == 0 {
            u32::from(line[at])
        } else {
            let hex = std::str::from_utf8(line.get(at + 2..at + 2 + digits)?).ok()?;
            u32::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'))?
        };
        at += if digits == 0 { 1 } else { 2 + digits };
        match char::from_u32(code) {
            Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            // A lone surrogate, as `surrogatepass` has it.
            None if code < 0x1_0000 => {
                let [low, high, ..] = code.to_le_bytes();
                let lead = 0xe0 | (high >> 4);
                let middle = 0x80 | ((high & 0x0f) << 2) | (low >> 6);
                out.extend_from_slice(&[lead, middle, 0x80 | (low & 0x3f)]);
            }
            None => return None,
        }
    }
    Some(text(Cow::Owned(out)))
}

pub(super) fn to_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
