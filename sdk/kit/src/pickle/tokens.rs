//! A pickle as a row of opcodes with their arguments (Python's `pickletools`, protocols 0 to 5). Knows nothing of what they make.

use tapedeck_sdk::Error;

/// What an opcode carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Argument<'a> {
    Nothing,
    /// An integer, a number of the memo, a length, a protocol.
    Number(i64),
    Float(f64),
    /// Raw bytes: a text in UTF-8, bytes, a number in two's complement.
    Bytes(&'a [u8]),
    /// One or two lines of a text opcode, without their ends.
    Lines(&'a [u8], &'a [u8]),
}

/// An opcode, from `at` to `end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) opcode: u8,
    pub(super) argument: Argument<'a>,
}

/// Reads one opcode after the other.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// An error at a byte of a pickle.
pub(super) fn wrong(at: usize, what: &str) -> Error {
    Error::data(format!("invalid pickle at byte {at}: {what}"))
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        let at = self.at;
        let opcode = self.take(1)?[0];
        let argument = self.argument(at, opcode)?;
        Ok(Token { at, end: self.at, opcode, argument })
    }

    #[inline]
    fn argument(&mut self, at: usize, opcode: u8) -> Result<Argument<'a>, Error> {
        Ok(match opcode {
            b'('
            | b'.'
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'}'
            | b'e'
            | b'l'
            | b']'
            | b'o'
            | b's'
            | b't'
            | b')'
            | b'u'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x94
            | 0x97
            | 0x98 => Argument::Nothing,
            b'K' | b'h' | b'q' | 0x80 | 0x82 => Argument::Number(self.take(1)?[0].into()),
            b'M' | 0x83 => Argument::Number(u16::from_le_bytes(self.array()?).into()),
            b'J' | 0x84 => Argument::Number(i32::from_le_bytes(self.array()?).into()),
            b'j' | b'r' => Argument::Number(u32::from_le_bytes(self.array()?).into()),
            0x95 => {
                let length = u64::from_le_bytes(self.array()?);
                Argument::Number(i64::try_from(length).ok().ok_or_else(|| wrong(at, "an endless frame"))?)
            }
            b'G' => Argument::Float(f64::from_be_bytes(self.array()?)),
            b'U' | b'C' | 0x8a | 0x8c => {
                let length = self.take(1)?[0].into();
                self.counted(length)?
            }
            b'T' | 0x8b => {
                let length = i32::from_le_bytes(self.array()?);
                let length = usize::try_from(length).ok().ok_or_else(|| wrong(at, "a negative length"))?;
                self.counted(length)?
            }
            b'X' | b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                self.counted(usize::try_from(length).unwrap_or(usize::MAX))?
            }
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.array()?);
                self.counted(usize::try_from(length).unwrap_or(usize::MAX))?
            }
            b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Argument::Lines(self.line()?, b""),
            b'c' | b'i' => Argument::Lines(self.line()?, self.line()?),
            other => return Err(wrong(at, &format!("unknown opcode 0x{other:02x}"))),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| wrong(self.bytes.len(), "it ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn counted(&mut self, length: usize) -> Result<Argument<'a>, Error> {
        Ok(Argument::Bytes(self.take(length)?))
    }

    fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| wrong(self.bytes.len(), "it ends too early"))?;
        self.at += length + 1;
        Ok(&rest[..length])
    }
}
