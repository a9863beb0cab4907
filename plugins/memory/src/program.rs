//! Which of the files that a target has mapped is its program, and what code and pointers a module has. Pure: gets what `/proc`
//! and the memory say. Knows Wine, whose loader maps the game as one file of many.
//!
//! Headers: System V ABI (ELF), "PE Format" of Microsoft.

use crate::chain::PointerWidth;
use crate::instruction::Mode;
use crate::maps::{self, Mapping, Module, file_name};

/// The kernel cuts a thread's name after so many bytes.
pub(crate) const COMM_BYTES_MAX: usize = 15;
/// How much of a module is looked at: the PE header lies in the first page.
pub(crate) const HEADER_BYTES: usize = 4096;

/// How the files of programs begin that load other programs, and become them.
const LOADERS: &[&str] = &["ld-", "ld.so", "wine"];

/// What a module's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    /// None: no x86 code.
    pub(crate) mode: Option<Mode>,
    pub(crate) width: PointerWidth,
}

impl Machine {
    /// From the first bytes of a file or module, ELF or PE; none if they are neither.
    pub(crate) fn from_header(bytes: &[u8]) -> Option<Self> {
        let half = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        if bytes.starts_with(b"\x7FELF") {
            let width = match bytes.get(4)? {
                1 => PointerWidth::Bytes4,
                2 => PointerWidth::Bytes8,
                _ => return None,
            };
            let mode = match half(18)? {
                3 => Some(Mode::Bits32),
                62 => Some(Mode::Bits64),
                _ => None,
            };
            return Some(Self { mode, width });
        }
        if !bytes.starts_with(b"MZ") {
            return None;
        }
        let begin = u32::from_le_bytes(*bytes.get(0x3C..)?.first_chunk()?) as usize;
        let header = bytes.get(begin..)?;
        if !header.starts_with(b"PE\0\0") {
            return None;
        }
        let (mode, width) = match u16::from_le_bytes(*header.get(4..)?.first_chunk()?) {
            0x014C => (Some(Mode::Bits32), PointerWidth::Bytes4),
            0x8664 => (Some(Mode::Bits64), PointerWidth::Bytes8),
            0x01C0 | 0x01C2 | 0x01C4 => (None, PointerWidth::Bytes4),
            0xAA64 => (None, PointerWidth::Bytes8),
            _ => return None,
        };
        Some(Self { mode, width })
    }

    /// A module that lies above 4 GiB is none of 32 bits, whatever its header says (a .NET program for any machine).
    pub(crate) fn at(self, base: usize) -> Self {
        match self {
            Self { mode: Some(Mode::Bits32), .. } if base > u32::MAX as usize => Self::NATIVE,
            machine => machine,
        }
    }

    /// Of a program without a header.
    pub(crate) const NATIVE: Self = Self { mode: Some(Mode::Bits64), width: PointerWidth::Bytes8 };
}

/// What a process says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// What the pipeline calls it.
    pub(crate) asked: Option<String>,
    /// The main thread's name, cut by the kernel.
    pub(crate) comm: String,
    /// The command line.
    pub(crate) words: Vec<String>,
    /// The path of the executable; empty if it can't be told.
    pub(crate) executable: String,
}

impl Names {
    /// The name to call it by: the pipeline's, else the longest.
    pub(crate) fn shown(&self) -> &str {
        let first = self.words.first().map_or("", |word| file_name(word));
        match &self.asked {
            Some(asked) => asked,
            None if !self.comm.is_empty() && first.starts_with(&self.comm) => first,
            None => &self.comm,
        }
    }

    /// Whether it is called `name`: by its main thread, its first word or its file.
    pub(crate) fn is(&self, name: &str) -> bool {
        let first = self.words.first().map_or("", |word| file_name(word));
        [self.comm.as_str(), first, file_name(&self.executable)].contains(&name)
            || self.is_cut(name) && self.words.iter().any(|word| file_name(word) == name)
    }

    /// Whether its main thread has the begin of this name, which is too long for the kernel.
    pub(crate) fn is_cut(&self, name: &str) -> bool {
        self.comm.len() == COMM_BYTES_MAX && name.starts_with(&self.comm)
    }

    /// The program: the file that the process is named after, else its executable. They differ where a loader has mapped the
    /// program (Wine, `ld.so`). Its name, and where it is.
    pub(crate) fn program(&self, mappings: &[Mapping]) -> Option<(String, Module)> {
        let own = file_name(&self.executable);
        let is_loader = LOADERS.iter().any(|loader| own.starts_with(loader));
        let words = || self.words.iter().map(|word| file_name(word));
        let mut candidates: Vec<&str> = self.asked.as_deref().into_iter().collect();
        candidates.push(&self.comm);
        if !self.is_cut(own) {
            candidates.extend(maps::module_names(mappings).into_iter().filter(|name| self.is_cut(name)));
        }
        candidates.extend(words().filter(|word| word.to_ascii_lowercase().ends_with(".exe")));
        candidates.extend(words().take(if is_loader { usize::MAX } else { 1 }));
        candidates.retain(|&name| {
            name != own && !(is_loader && LOADERS.iter().any(|loader| name.starts_with(loader)))
        });
        candidates.push(&self.executable);
        candidates.into_iter().find_map(|name| find(mappings, name))
    }
}

/// A module and its file's name. Windows knows no upper and lower case, so Wine's processes may be called otherwise than their files.
fn find(mappings: &[Mapping], wanted: &str) -> Option<(String, Module)> {
    let found = |name: &str| Some((file_name(name).to_owned(), maps::module(mappings, name)?));
    found(wanted).or_else(|| {
        let names = maps::module_names(mappings).into_iter();
        names.filter(|name| name.eq_ignore_ascii_case(wanted)).find_map(found)
    })
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
