//! From options to addresses: maps of the target, modules, patterns. The search can be cut into pieces, so that a source that
//! waits for its target again never blocks for long.

use std::collections::BTreeMap;
use std::io;

use tapedeck_sdk::Error;

use crate::errors;
use crate::maps::{self, Mapping, Module};
use crate::options::{Attribute, Start};
use crate::pattern::Pattern;
use crate::process::{Target, executable};
use crate::scan::{MATCHES_MAX, Scan};
use crate::system::{Span, read_spans};

/// Instructions that name a variable by its distance count it from their end, and have seven bytes.
const INSTRUCTION_BYTES: usize = 7;

/// Why the target can't be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may be a matter of time: a program that has just started has not mapped everything.
    NotYet(Error),
    /// Waiting won't help, unless another process takes the target's place.
    Final(Error),
    /// We may not read it.
    Denied(Error),
}

impl Trouble {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NotYet(error) | Self::Final(error) | Self::Denied(error) => error,
        }
    }
}

/// A search for the starts of all attributes in one target.
pub(crate) struct Attempt {
    modules: Vec<Searched>,
}

/// A module and the patterns that are searched in it.
struct Searched {
    /// As the attributes name it; none is the main module.
    key: Option<String>,
    name: String,
    module: Module,
    patterns: Vec<Pattern>,
    scan: Scan,
}

impl Attempt {
    /// Looks at what the target has mapped. `main_module` is the source's `module` option.
    pub(crate) fn begin(
        target: &mut Target,
        attributes: &[Attribute],
        main_module: Option<&str>,
    ) -> Result<Self, Trouble> {
        let text = match std::fs::read(format!("/proc/{}/maps", target.pid())) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => return Err(trouble(target, &error)),
        };
        let mappings = maps::parse(&text);
        if target.exited() || mappings.is_empty() {
            let status = target.exit_status();
            return Err(Trouble::Final(errors::exited_early(target.name(), target.pid(), status)));
        }
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
        let mut modules = Vec::new();
        for (key, (attribute, patterns)) in wanted {
            let option = match key {
                Some(_) => vec!["attributes", &attribute.name, "module"],
                None => vec!["module"],
            };
            let (name, module) = find_module(target, &mappings, key.or(main_module), &option)?;
            let scan =
                Scan::new(patterns.iter().cloned(), if patterns.is_empty() { &[] } else { &module.ranges });
            modules.push(Searched { key: key.map(str::to_owned), name, module, patterns, scan });
        }
        Ok(Self { modules })
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
    pub(crate) fn finish(&self, target: &Target, attributes: &[Attribute]) -> Result<Vec<usize>, Trouble> {
        attributes.iter().map(|attribute| self.start(target, attribute)).collect()
    }

    fn start(&self, target: &Target, attribute: &Attribute) -> Result<usize, Trouble> {
        let searched = || {
            let module = self.modules.iter().find(|module| module.key == attribute.module);
            module.expect("`begin` looked up the module of every attribute that has none of its addresses")
        };
        match &attribute.start {
            Start::Address(address) => Ok(*address),
            Start::Offset(offset) => Ok(searched().module.base.wrapping_add(*offset)),
            Start::Pattern { pattern, wildcard, which } => {
                let at = searched().chosen(&attribute.name, pattern, *which)?;
                let mut distance = [0; 4];
                let span = Span { address: at + wildcard, length: distance.len() };
                match read_spans(target.pid(), &[span], &mut distance) {
                    Ok(4) => {}
                    Ok(_) => return Err(trouble(target, &io::ErrorKind::UnexpectedEof.into())),
                    Err(error) => return Err(trouble(target, &error)),
                }
                let distance = isize::try_from(i32::from_le_bytes(distance)).expect("addresses have 64 bits");
                Ok((at + INSTRUCTION_BYTES).wrapping_add_signed(distance))
            }
        }
    }
}

impl Searched {
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

/// The module, and what it is called. Without a name it is the main one: the file that the process is named after (under Wine the
/// executable is the loader), else its executable.
fn find_module(
    target: &Target,
    mappings: &[Mapping],
    wanted: Option<&str>,
    option: &[&str],
) -> Result<(String, Module), Trouble> {
    let found =
        |name: &str| maps::module(mappings, name).map(|module| (maps::file_name(name).to_owned(), module));
    let main = match wanted {
        Some(_) => String::new(),
        None => executable(target.pid()).map_err(|error| trouble(target, &error))?,
    };
    let module = match wanted {
        Some(wanted) => found(wanted),
        None => found(target.name()).or_else(|| found(&main)),
    };
    let wanted = wanted.unwrap_or(&main);
    let absent = || errors::absent_module(wanted, target.name(), &maps::module_names(mappings), option);
    module.ok_or_else(|| Trouble::NotYet(absent()))
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
        return Trouble::Final(errors::exited_early(name, pid, None));
    }
    Trouble::NotYet(errors::unreadable(name, pid, error))
}
