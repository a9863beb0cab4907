//! Whether a file is a whole ELF file. The dynamic loader does not ask: it maps a file that was cut short, and the process dies of
//! `SIGBUS` when it reaches the end. Everything else about the file is the loader's to judge.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use tapedeck_sdk::Error;

const MAGIC: &[u8; 4] = b"\x7fELF";
/// `EI_CLASS` and `EI_DATA` of the only sort of file that is looked into: 64 bits, little-endian.
const CLASS_64_LITTLE: [u8; 2] = [2, 1];
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;

/// Refuses what is no library, and what was cut short.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let trouble =
        |what: String| Error::environment(format!("can't load the plugin: {what}: {}", path.display()));
    let file = File::open(path).map_err(|error| trouble(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| trouble(error.to_string()))?;
    if !metadata.is_file() {
        return Err(trouble("it is no file".to_owned()).with_hint("Name the library itself."));
    }
    let needed = bytes_needed(&file).map_err(|error| trouble(error.to_string()))?;
    let length = metadata.len();
    match needed {
        Needed::Unknown => Ok(()),
        Needed::NoElf => Err(trouble("it is no dynamic library".to_owned())
            .with_hint("A plugin is a library (.so) or a WASM component (.wasm).")),
        Needed::Bytes(needed) if needed > length => {
            Err(trouble(format!("the library was cut short, it has {length} of {needed} bytes"))
                .with_hint("Build or download it again."))
        }
        Needed::Bytes(_) => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Needed {
    NoElf,
    /// ELF of a sort that is not ours: the loader says what is wrong with it.
    Unknown,
    Bytes(u64),
}

/// How long the file must be for everything that its headers name to be in it.
fn bytes_needed(mut file: impl Read + Seek) -> std::io::Result<Needed> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    if !header.starts_with(MAGIC) {
        return Ok(Needed::NoElf);
    }
    if header.len() < HEADER_BYTES {
        return Ok(Needed::Bytes(HEADER_BYTES as u64));
    }
    if header[4..6] != CLASS_64_LITTLE {
        return Ok(Needed::Unknown);
    }
    let [segments, sections] = [32, 40].map(|at| word(&header, at));
    let [segment_bytes, segment_count, section_bytes, section_count] =
        [54, 56, 58, 60].map(|at| u64::from(u16::from_le_bytes([header[at], header[at + 1]])));
    if segment_count > 0 && segment_bytes != SEGMENT_BYTES as u64 {
        return Ok(Needed::Unknown);
    }
    let segments_end = segments.saturating_add(segment_count * segment_bytes);
    let mut needed = segments_end.max(sections.saturating_add(section_count * section_bytes));
    file.seek(SeekFrom::Start(segments))?;
    let mut table = Vec::new();
    file.take(segment_count * segment_bytes).read_to_end(&mut table)?;
    for segment in table.as_chunks::<SEGMENT_BYTES>().0 {
        needed = needed.max(word(segment, 8).saturating_add(word(segment, 32)));
    }
    Ok(Needed::Bytes(needed))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the caller stays inside the header"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_library_needs_the_end_of_its_last_segment_and_of_its_tables() {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut set = |at: usize, word: u64| file[at..at + 8].copy_from_slice(&word.to_le_bytes());
        // One segment, whose line follows the header and which lies at 4096, 100 bytes long.
        set(32, 64);
        set(64 + 8, 4096);
        set(64 + 32, 100);
        file[54] = 56;
        file[56] = 1;
        assert_eq!(bytes_needed(Cursor::new(&file)).unwrap(), Needed::Bytes(4196));
        // Two sections, whose lines lie behind it.
        file[40..48].copy_from_slice(&8000_u64.to_le_bytes());
        file[58] = 64;
        file[60] = 2;
        assert_eq!(bytes_needed(Cursor::new(&file)).unwrap(), Needed::Bytes(8128));
        assert_eq!(bytes_needed(Cursor::new(&file[..20])).unwrap(), Needed::Bytes(64));
        file[4] = 1;
        assert_eq!(
            bytes_needed(Cursor::new(&file)).unwrap(),
            Needed::Unknown,
            "32 bits are the loader's to judge"
        );
        assert_eq!(bytes_needed(Cursor::new(b"MZ")).unwrap(), Needed::NoElf);
    }

    proptest! {
        #[test]
        fn rubbish_behind_the_magic_does_not_panic(rest in proptest::collection::vec(any::<u8>(), 0..400)) {
            let file = [b"\x7fELF\x02\x01".as_slice(), &rest].concat();
            // Whether it is an error or a number: both are an answer.
            drop(bytes_needed(Cursor::new(&file)));
        }
    }
}
