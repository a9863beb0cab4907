//! From options to addresses: maps of the target, modules, patterns. The search can be cut into pieces, so that a source that
//! waits for its target again never blocks for long.

use std::collections::BTreeMap;
use std::io;

use tapedeck_sdk::Error;

use crate::chain::PointerWidth;
use crate::errors;
use crate::instruction::{DISPLACEMENT_BYTES, INSTRUCTION_BYTES_MAX, Neighbourhood, named_address};
use crate::maps::{self, Mapping, Module};
use crate::options::{Attribute, MemoryOptions, Number, Start};
use crate::pattern::Pattern;
use crate::process::{Image, Target};
use crate::program::{HEADER_BYTES, Machine};
use crate::scan::{MATCHES_MAX, Scan};
use crate::system::{Span, read_spans};

/// Why the target can't be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may be a matter of time: a program that has just started has not mapped everything.
    NotYet(Error),
    /// It has exited. Another process may take its place.
    Gone(Error),
    /// Waiting won't help, unless another process takes the target's place.
    Final(Error),
    /// We may not read it.
    Denied(Error),
}

impl Trouble {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NotYet(error) | Self::Gone(error) | Self::Final(error) | Self::Denied(error) => error,
        }
    }
}

/// A search for the starts of all attributes in one target.
pub(crate) struct Attempt {
    /// The memory that is searched.
    image: Image,
    modules: Vec<Searched>,
    /// Of attributes that have no module.
    width: PointerWidth,
}

/// What an attempt has found.
pub(crate) struct Found {
    pub(crate) image: Image,
    /// Where each attribute starts.
    pub(crate) starts: Vec<usize>,
    /// How wide the pointers of each attribute are.
    pub(crate) widths: Vec<PointerWidth>,
}

/// A module and the patterns that are searched in it.
struct Searched {
    /// As the attributes name it; none is the main module.
    key: Option<String>,
    name: String,
    module: Module,
    machine: Machine,
    patterns: Vec<Pattern>,
    scan: Scan,
}

impl Attempt {
    /// Looks at what the target has mapped.
    pub(crate) fn begin(
        target: &mut Target,
        attributes: &[Attribute],
        options: &MemoryOptions,
    ) -> Result<Self, Trouble> {
        // Before all else: what is read from here on must be of this memory.
        let image = Image::open(target.pid()).map_err(|error| trouble(target, &error))?;
        let mappings = mappings(target)?;
        may_read(target, &mappings)?;
        // One entry for each module that an attribute needs, with the option that names it.
        let mut wanted: BTreeMap<Option<&str>, (&Attribute, Vec<Pattern>)> = BTreeMap::new();
        for attribute in attributes {
            let pattern = match &attribute.start {
                Start::Address(_) => continue,
                Start::Offset(_) => None,
                Start::Pattern { pattern, .. } => Some(&**pattern),
            };
            let (_, patterns) =
                wanted.entry(attribute.module.as_deref()).or_insert_with(|| (attribute, Vec::new()));
            patterns.extend(pattern.filter(|pattern| !patterns.contains(pattern)).cloned());
        }
        let main_module = options.module.as_deref();
        let mut modules = Vec::new();
        for (key, (attribute, patterns)) in wanted {
            let option = match key {
                Some(_) => vec!["attributes", &attribute.name, "module"],
                None => vec!["module"],
            };
            let (name, module) = find_module(target, &mappings, key.or(main_module), &option)?;
            let machine = machine(target, Some(&module));
            let ranges = if patterns.is_empty() { &[] } else { &module.ranges[..] };
            let scan = Scan::new(patterns.iter().cloned(), ranges);
            modules.push(Searched { key: key.map(str::to_owned), name, module, machine, patterns, scan });
        }
        let main = find_module(target, &mappings, main_module, &["module"]).ok();
        let main_width = machine(target, main.as_ref().map(|(_, module)| module)).width;
        let given = options.pointer_bytes.map(PointerWidth::of);
        if let Some(width) = given {
            modules.iter_mut().for_each(|module| module.machine.width = width);
        }
        Ok(Self { image, modules, width: given.unwrap_or(main_width) })
    }

    /// Goes on searching until the end (`true`) or until `keep_going` says no.
    pub(crate) fn advance(
        &mut self,
        target: &Target,
        mut keep_going: impl FnMut() -> bool,
    ) -> Result<bool, Trouble> {
        let pid = target.pid();
        let read = |address, into: &mut [u8]| read_spans(pid, &[Span { address, length: into.len() }], into);
        for module in &mut self.modules {
            match module.scan.advance(read, &mut keep_going) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(trouble(target, &error)),
            }
        }
        Ok(true)
    }

    /// Where each attribute starts.
    pub(crate) fn finish(self, target: &Target, attributes: &[Attribute]) -> Result<Found, Trouble> {
        let starts =
            attributes.iter().map(|attribute| self.start(target, attribute)).collect::<Result<_, _>>()?;
        let widths = attributes.iter().map(|attribute| self.width(attribute)).collect();
        Ok(Found { image: self.image, starts, widths })
    }

    /// The module of an attribute that has none of its addresses.
    fn searched(&self, attribute: &Attribute) -> &Searched {
        let module = self.modules.iter().find(|module| module.key == attribute.module);
        module.expect("`begin` looked up the module of every attribute that has none of its addresses")
    }

    fn width(&self, attribute: &Attribute) -> PointerWidth {
        match attribute.start {
            Start::Address(_) => self.width,
            Start::Offset(_) | Start::Pattern { .. } => self.searched(attribute).machine.width,
        }
    }

    fn start(&self, target: &Target, attribute: &Attribute) -> Result<usize, Trouble> {
        match &attribute.start {
            Start::Address(address) => Ok(*address),
            Start::Offset(offset) => {
                let searched = self.searched(attribute);
                Ok(searched.machine.width.add(searched.module.base, *offset))
            }
            Start::Pattern { pattern, which, number } => {
                let searched = self.searched(attribute);
                let at = searched.chosen(&attribute.name, pattern, *which)?;
                match *number {
                    Number::Distance { at: place, end } => searched.by_distance(target, at, place, end),
                    Number::Decoded(place) => {
                        searched.by_instruction(target, at, pattern, place, &attribute.name)
                    }
                }
            }
        }
    }
}

impl Searched {
    /// Match + `end` + the distance at `place`.
    fn by_distance(&self, target: &Target, at: usize, place: usize, end: usize) -> Result<usize, Trouble> {
        let mut distance = [0; DISPLACEMENT_BYTES];
        let span = Span { address: at + place, length: distance.len() };
        match read_spans(target.pid(), &[span], &mut distance) {
            Ok(DISPLACEMENT_BYTES) => {}
            Ok(_) => return Err(trouble(target, &io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(trouble(target, &error)),
        }
        let distance = isize::try_from(i32::from_le_bytes(distance)).expect("addresses have 64 bits");
        Ok(self.machine.width.add(at + end, distance.cast_unsigned()))
    }

    /// What the instruction at the match names.
    fn by_instruction(
        &self,
        target: &Target,
        at: usize,
        pattern: &Pattern,
        place: Option<usize>,
        attribute: &str,
    ) -> Result<usize, Trouble> {
        let Some(mode) = self.machine.mode else {
            return Err(Trouble::Final(errors::foreign_code(attribute, &self.name)));
        };
        let range = self.module.ranges.iter().find(|range| range.contains(&at));
        let first = at.saturating_sub(INSTRUCTION_BYTES_MAX).max(range.map_or(at, |range| range.start));
        let last = at + pattern.len() + INSTRUCTION_BYTES_MAX;
        let mut bytes = vec![0; last.min(range.map_or(last, |range| range.end)) - first];
        let span = Span { address: first, length: bytes.len() };
        let count = read_spans(target.pid(), &[span], &mut bytes).map_err(|error| trouble(target, &error))?;
        let near = Neighbourhood {
            mode,
            address: first as u64,
            bytes: bytes.get(..count).unwrap_or(&bytes),
            begin: at - first,
        };
        let named = named_address(&near, pattern, place);
        let named = named.map_err(|unclear| errors::unclear_pattern(attribute, pattern, at, &unclear));
        named.map(|address| usize::try_from(address).unwrap_or(usize::MAX)).map_err(Trouble::Final)
    }

    /// The address of the match that an attribute means.
    fn chosen(&self, attribute: &str, pattern: &Pattern, which: Option<usize>) -> Result<usize, Trouble> {
        let search =
            self.patterns.iter().position(|known| known == pattern).map(|index| &self.scan.searches()[index]);
        let matches = search.map_or(&[][..], |search| &search.matches);
        match (matches, which) {
            ([], _) => {
                let bytes = self.module.ranges.iter().map(ExactSizeIterator::len).sum();
                Err(Trouble::NotYet(errors::absent_pattern(attribute, pattern, &self.name, bytes)))
            }
            ([only], None) => Ok(*only),
            (_, None) => {
                let at_limit = matches.len() == MATCHES_MAX;
                Err(Trouble::Final(errors::ambiguous_pattern(attribute, pattern, matches, at_limit)))
            }
            (_, Some(which)) => matches.get(which - 1).copied().ok_or_else(|| {
                Trouble::NotYet(errors::absent_match(attribute, pattern, which, matches.len()))
            }),
        }
    }
}

/// What the target has mapped.
fn mappings(target: &mut Target) -> Result<Vec<Mapping>, Trouble> {
    let text = match std::fs::read(format!("/proc/{}/maps", target.pid())) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return Err(trouble(target, &error)),
    };
    let mappings = maps::parse(&text);
    if target.exited() {
        let status = target.exit_status();
        return Err(Trouble::Gone(errors::exited_early(target.name(), target.pid(), status)));
    }
    if mappings.is_empty() {
        return Err(Trouble::NotYet(errors::no_memory(target.name(), target.pid())));
    }
    Ok(mappings)
}

/// The module, and what it is called. Without a name it is the program.
fn find_module(
    target: &Target,
    mappings: &[Mapping],
    wanted: Option<&str>,
    option: &[&str],
) -> Result<(String, Module), Trouble> {
    let names = target.names();
    let found = match wanted {
        Some(wanted) => {
            maps::module(mappings, wanted).map(|module| (maps::file_name(wanted).to_owned(), module))
        }
        None => names.program(mappings),
    };
    let wanted = wanted.unwrap_or(&names.executable);
    let absent = || errors::absent_module(wanted, target.name(), &maps::module_names(mappings), option);
    found.ok_or_else(|| Trouble::NotYet(absent()))
}

/// What a module's header says; where it has none (some programs wipe it), what the executable's does.
fn machine(target: &Target, module: Option<&Module>) -> Machine {
    let mut header = vec![0; HEADER_BYTES];
    let in_memory = module.and_then(|module| {
        let span = Span { address: module.base, length: header.len() };
        let count = read_spans(target.pid(), &[span], &mut header).ok()?;
        Some(Machine::from_header(header.get(..count)?)?.at(module.base))
    });
    let of_file = || {
        let mut file = std::fs::File::open(format!("/proc/{}/exe", target.pid())).ok()?;
        let count = io::Read::read(&mut file, &mut header).ok()?;
        Machine::from_header(header.get(..count)?)
    };
    in_memory.or_else(of_file).unwrap_or(Machine::NATIVE)
}

/// Tries whether we have the right to read the target, on the first byte that can be read.
fn may_read(target: &Target, mappings: &[Mapping]) -> Result<(), Trouble> {
    let Some(mapping) = mappings.iter().find(|mapping| mapping.readable) else { return Ok(()) };
    let span = Span { address: mapping.range.start, length: 1 };
    match read_spans(target.pid(), &[span], &mut [0]) {
        Err(error) if error.raw_os_error() != Some(libc::EFAULT) => Err(trouble(target, &error)),
        _ => Ok(()),
    }
}

/// What a failed look at the target means.
pub(crate) fn trouble(target: &Target, error: &io::Error) -> Trouble {
    let (name, pid) = (target.name(), target.pid());
    if error.kind() == io::ErrorKind::PermissionDenied {
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
        return Trouble::Denied(errors::permission(name, pid, scope.as_deref()));
    }
    if target.exited() {
        return Trouble::Gone(errors::exited_early(name, pid, None));
    }
    Trouble::NotYet(errors::unreadable(name, pid, error))
}
