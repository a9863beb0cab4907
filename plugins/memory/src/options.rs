//! What a pipeline may ask of the source, and what of it can be refused without looking at any process.

use indexmap::IndexMap;
use tapedeck_sdk::options::DurationText;
use tapedeck_sdk::{COLUMNS_MAX, Error};

use crate::instruction::{DISPLACEMENT_BYTES, INSTRUCTION_BYTES_MAX};
use crate::pattern::Pattern;
use crate::scan::MATCHES_MAX;
use crate::value::ValueType;

/// The most pointers of one chain.
const OFFSETS_MAX: usize = 32;
/// The most bytes of all variables of one row together.
const ROW_BYTES_MAX: usize = 256 << 20;

/// Which process to read, and which of its variables. Exactly one of `process`, `pid` and `spawn` says which process.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "process": "game",
    "attributes": {
        "health": { "pattern": "48 8B 05 ?? ?? ?? ??", "offsets": [16, 64], "type": "float" },
        "level": { "offset": 4096, "type": "int" },
    },
}]))]
pub struct MemoryOptions {
    /// The name of the process: of its executable file, without the folder (`game`, `eldenring.exe`). Exactly one process may
    /// have it.
    #[serde(default)]
    pub process: Option<String>,
    /// The number of the process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// A program to start, and its arguments. It is ended when the recording ends, whatever way that ends.
    #[serde(default)]
    pub spawn: Option<Vec<String>>,
    /// Where the output of the program that `spawn` starts goes.
    #[serde(default)]
    pub spawn_output: SpawnOutput,
    /// The module in which patterns are searched and from which `offset` counts: the name of a file that the process has mapped,
    /// or its whole path. Default: the program; under Wine that is the game's file, not the loader.
    #[serde(default)]
    pub module: Option<String>,
    /// When the process exits or becomes another program (`execve`): wait for a process of that name again instead of ending the
    /// stream. Ticks without a process are counted as late. Only with `process`.
    #[serde(default)]
    pub reattach: bool,
    /// Bytes of a pointer in the target, 4 or 8. Default: as the header of each module says (ELF class, PE machine).
    #[schemars(extend("x-unit" = "bytes"))]
    #[serde(default)]
    pub pointer_bytes: Option<u32>,
    /// How long to wait, at the start, for the process to be there, to have mapped its module and to hold the patterns. A
    /// program that `spawn` started also gets this long until every variable can be read. Default: 5s with `spawn`, else 0s.
    #[serde(default)]
    pub attach_timeout: Option<DurationText>,
    /// The variables, one table each. The columns stand in the order of the file.
    pub attributes: IndexMap<String, AttributeOptions>,
}

/// Where the output of a program that was started goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpawnOutput {
    /// Nowhere.
    #[default]
    Null,
    /// To our own output.
    Inherit,
}

/// One variable: where it begins (exactly one of `pattern`, `address` and `offset`), the way from there, and its type.
///
/// `pattern`: the match holds an x86 instruction that names a variable, and its address has a `??`. The start is that variable: the
/// instruction is decoded, since distances count from its end. Of several instructions the first with a variable is meant, then
/// the first with another address (a branch, an immediate). `displacement` and `end` say it where decoding can't.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AttributeOptions {
    /// Bytes to find in the module, in hexadecimal; `??` is any byte. They hold an x86 instruction that names the variable, with `??`
    /// in its address (`48 8B 05 ?? ?? ?? ??`).
    pub pattern: String,
    /// Which match of the pattern, by address, the first being 1. Needed when there are several.
    #[serde(rename = "match")]
    pub which: Option<u32>,
    /// Where in the match the number is that leads to the variable. Default: the address in the decoded
    /// instruction; with `end`, the first `??`.
    #[schemars(extend("x-unit" = "bytes"))]
    pub displacement: Option<u32>,
    /// Where the instruction ends, counted from the match's first byte: the start is match + `end` + the signed 32-bit number at
    /// `displacement`. Default: decoded.
    #[schemars(extend("x-unit" = "bytes"))]
    pub end: Option<u32>,
    /// An absolute address as the start.
    pub address: Option<u64>,
    /// The start, counted from the module's lowest address.
    #[schemars(extend("x-unit" = "bytes"))]
    pub offset: Option<u64>,
    /// The module of `pattern` or `offset`, if it is another than the source's.
    pub module: Option<String>,
    /// The chain of pointers: read the pointer at the start; add the first offset and read the pointer there; and so on; the
    /// variable is at the last pointer plus the last offset. Offsets may be negative. Empty: the variable is at the start itself.
    #[schemars(extend("x-unit" = "bytes"))]
    pub offsets: Vec<i64>,
    /// `int` (i32), `float` (f32), `i8` to `i64`, `u8` to `u64`, `f32`, `f64`, `bool` (a byte), `binary` (a byte & `mask`), `array`
    /// (`length` bytes) or `string` (up to `length` bytes, ended by a NUL; a byte that is no UTF-8 becomes U+FFFD).
    #[serde(rename = "type")]
    pub value_type: String,
    /// Bytes of an `array` or a `string`. 0: not given.
    #[schemars(extend("x-unit" = "bytes"))]
    pub length: u64,
    /// How `offsets` are meant: `pointer` (the default) follows pointers; `direct` reads none and adds the one offset to the start.
    pub method: String,
    /// Which bits of a `binary`. Default: all.
    pub mask: Option<u32>,
}

/// An attribute that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) start: Start,
    /// The module, if it names one of its own.
    pub(crate) module: Option<String>,
    /// Offsets; a negative one is its two's complement.
    pub(crate) path: Vec<usize>,
    /// Whether the path is one of pointers.
    pub(crate) pointers: bool,
    pub(crate) value_type: ValueType,
}

/// Where an attribute's path begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// Where a match of the pattern points to; `which` is counted from 1.
    Pattern { pattern: Box<Pattern>, which: Option<usize>, number: Number },
    /// An absolute address.
    Address(usize),
    /// So far behind the module's base.
    Offset(usize),
}

/// Which number of a match leads to the variable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    /// That of the decoded instruction, at this place if one is given.
    Decoded(Option<usize>),
    /// The distance at this place, from this end; both counted from the match.
    Distance { at: usize, end: usize },
}

impl MemoryOptions {
    /// Understands all attributes, or says which option is wrong.
    pub(crate) fn parse(&self) -> Result<Vec<Attribute>, Error> {
        self.check_target()?;
        if self.attributes.is_empty() {
            let hint = "add a table such as [sources.NAME.attributes.health] with address, type";
            return Err(Error::option(["attributes"], "there are no attributes to read").with_hint(hint));
        }
        if self.attributes.len() > COLUMNS_MAX {
            let message = format!("{} attributes, the limit is {COLUMNS_MAX}", self.attributes.len());
            return Err(Error::option(["attributes"], message).with_hint("spread them over several sources"));
        }
        let attributes = self
            .attributes
            .iter()
            .map(|(name, options)| options.parse(name))
            .collect::<Result<Vec<_>, _>>()?;
        let row_bytes: usize = attributes.iter().map(|attribute| attribute.value_type.row_bytes()).sum();
        if row_bytes > ROW_BYTES_MAX {
            let message = format!("one row would have {row_bytes} bytes, the limit is {ROW_BYTES_MAX}");
            return Err(
                Error::option(["attributes"], message).with_hint("record less, or in several sources")
            );
        }
        Ok(attributes)
    }

    fn check_target(&self) -> Result<(), Error> {
        let given = [
            ("process", self.process.is_some()),
            ("pid", self.pid.is_some()),
            ("spawn", self.spawn.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key);
        let hint =
            "give exactly one of process = \"name\", pid = 123 and spawn = [\"program\", \"argument\"]";
        let Some(first) = given.next() else {
            return Err(Error::option(["process"], "it is not said which process to read").with_hint(hint));
        };
        if let Some(second) = given.next() {
            let message = format!("`{first}` and `{second}` both say which process to read");
            return Err(Error::option([second], message).with_hint(hint));
        }
        if self.process.as_ref().is_some_and(String::is_empty) {
            return Err(Error::option(["process"], "the name of the process is empty").with_hint(hint));
        }
        if self.pid.is_some_and(|pid| pid == 0 || i32::try_from(pid).is_err()) {
            return Err(Error::option(["pid"], "no process can have this number").with_hint(hint));
        }
        if self.spawn.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
            return Err(Error::option(["spawn"], "there is no program to start").with_hint(hint));
        }
        if self.reattach && self.process.is_none() {
            let hint = "a number is never given to the same program again, and a program that was started is not started again";
            return Err(Error::option(
                ["reattach"],
                "only a process that is found by name can be waited for",
            )
            .with_hint(hint));
        }
        if self.pointer_bytes.is_some_and(|bytes| bytes != 4 && bytes != 8) {
            let hint = "leave it out to have it read from the program's header";
            return Err(Error::option(["pointer_bytes"], "a pointer has 4 or 8 bytes").with_hint(hint));
        }
        if self.module.as_ref().is_some_and(String::is_empty) {
            return Err(Error::option(["module"], "the name of the module is empty")
                .with_hint("leave it out for the main executable"));
        }
        Ok(())
    }
}

impl AttributeOptions {
    fn parse(&self, name: &str) -> Result<Attribute, Error> {
        let wrong = |key: &str, what: String| {
            Error::option(["attributes", name, key], format!("attribute \"{name}\": {what}"))
        };
        if name.is_empty() || name == "seq" || name == "timestamp" {
            let message = format!("an attribute can't be called \"{name}\"");
            return Err(Error::option(["attributes", name], message)
                .with_hint("`seq` and `timestamp` are in every stream"));
        }
        let start = self.parse_start(&wrong)?;
        let value_type = ValueType::parse(&self.value_type, self.length, self.mask.unwrap_or(0xff))
            .map_err(|error| wrong(error.key, error.message).with_hint(error.hint))?;
        if self.offsets.len() > OFFSETS_MAX {
            let message = format!("{} offsets, the limit is {OFFSETS_MAX}", self.offsets.len());
            return Err(wrong("offsets", message).with_hint("a chain of pointers this long is a mistake"));
        }
        let pointers = match self.method.as_str() {
            "" | "pointer" => true,
            "direct" if self.offsets.len() <= 1 => false,
            "direct" => {
                let message = format!("method \"direct\" with {} offsets", self.offsets.len());
                return Err(wrong("offsets", message)
                    .with_hint("\"direct\" reads no pointers: give at most one offset"));
            }
            "dll" => {
                let hint = "\"dll\" puts code into the target, which this source never does: find a pattern that names a static pointer";
                return Err(wrong("method", "method \"dll\" is not supported".to_owned()).with_hint(hint));
            }
            other => {
                return Err(wrong("method", format!("unknown method \"{other}\""))
                    .with_hint("the methods are pointer and direct"));
            }
        };
        let path = self.offsets.iter().map(|&offset| to_usize(offset.cast_unsigned())).collect();
        Ok(Attribute {
            name: name.to_owned(),
            start,
            module: self.module.clone(),
            path,
            pointers,
            value_type,
        })
    }

    fn parse_start(&self, wrong: &dyn Fn(&str, String) -> Error) -> Result<Start, Error> {
        let given = [
            ("pattern", !self.pattern.is_empty()),
            ("address", self.address.is_some()),
            ("offset", self.offset.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
        let hint = "give exactly one of pattern = \"48 8B 05 ?? ?? ?? ??\", address = 0x1234 and offset = 0x1234 (in the module)";
        match given[..] {
            [] => return Err(wrong("pattern", "it is not said where it begins".to_owned()).with_hint(hint)),
            [first, second, ..] => {
                return Err(wrong(second, format!("`{first}` and `{second}` both say where it begins"))
                    .with_hint(hint));
            }
            [_] => {}
        }
        if self.module.as_ref().is_some_and(|module| module.is_empty() || self.address.is_some()) {
            return Err(wrong("module", "an address needs no module, and a module needs a name".to_owned())
                .with_hint(hint));
        }
        if self.which.is_some() && self.pattern.is_empty() {
            return Err(wrong(
                "match",
                "`match` chooses between matches of a pattern, and there is none".to_owned(),
            )
            .with_hint(hint));
        }
        let numbers = [("displacement", self.displacement), ("end", self.end)];
        if let Some((key, _)) = numbers.iter().find(|(_, given)| given.is_some() && self.pattern.is_empty()) {
            let message = format!("`{key}` is a place in the match of a pattern, and there is none");
            return Err(wrong(key, message).with_hint(hint));
        }
        if let Some(address) = self.address {
            return Ok(Start::Address(to_usize(address)));
        }
        if let Some(offset) = self.offset {
            return Ok(Start::Offset(to_usize(offset)));
        }
        let pattern: Pattern = self.pattern.parse().map_err(|error| {
            let hint = "write two hexadecimal digits a byte, and ?? for any byte: \"48 8B 05 ?? ?? ?? ??\"";
            wrong("pattern", format!("\"{}\" is no pattern: {error}", self.pattern)).with_hint(hint)
        })?;
        let number = self.parse_number(&pattern, wrong)?;
        let which = self.which.map(|which| which as usize);
        if which.is_some_and(|which| which == 0 || which > MATCHES_MAX) {
            let hint = format!("the first match is 1, and at most {MATCHES_MAX} are looked for");
            return Err(wrong("match", "there is no such match".to_owned()).with_hint(hint));
        }
        Ok(Start::Pattern { pattern: Box::new(pattern), which, number })
    }

    /// Which number of the match leads to the variable.
    fn parse_number(
        &self,
        pattern: &Pattern,
        wrong: &dyn Fn(&str, String) -> Error,
    ) -> Result<Number, Error> {
        let given = self.displacement.map(|at| at as usize);
        let Some(at) = given.or(pattern.wildcard()) else {
            let hint = "write ?? ?? ?? ?? where the instruction has the variable's address, or say where it is: displacement = 3";
            return Err(wrong("pattern", format!("the pattern \"{pattern}\" has no ??")).with_hint(hint));
        };
        if at >= pattern.len() {
            let message = format!("the match has {} bytes, none at {at}", pattern.len());
            return Err(wrong("displacement", message).with_hint("the first byte is 0"));
        }
        let Some(end) = self.end.map(|end| end as usize) else { return Ok(Number::Decoded(given)) };
        let ends = at + DISPLACEMENT_BYTES..=at + INSTRUCTION_BYTES_MAX;
        if !ends.contains(&end) {
            let message = format!("no instruction with a distance at byte {at} ends at {end}");
            let hint = format!(
                "it ends {DISPLACEMENT_BYTES} bytes behind that place, or a few more: from {}",
                ends.start()
            );
            return Err(wrong("end", message).with_hint(hint));
        }
        Ok(Number::Distance { at, end })
    }
}

/// Addresses have the width of our own: 64-bit targets are read by 64-bit programs. One that is too large is a dead one.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
