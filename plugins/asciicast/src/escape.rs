//! Text as the inside of a JSON string, with the escapes that `serde_json` uses. Knows nothing of where the text comes from.

/// How many bytes are looked at together: so many comparisons fit into a few vector registers.
const BLOCK: usize = 32;

/// Adds text with what JSON wants escaped, without the quotes around it.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = first_to_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        escape_byte(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn wants_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    // Without an early exit inside a block the comparison of a block is vectorised.
    let any = |block: &[u8; BLOCK]| block.iter().fold(false, |any, &byte| any | wants_escape(byte));
    let begin = blocks.iter().position(any).map_or(bytes.len() - tail.len(), |block| block * BLOCK);
    bytes[begin..].iter().position(|&byte| wants_escape(byte)).map(|at| begin + at)
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
