//! The source itself: attaches when it is opened, gives one row a tick, and waits for its target again if it may.

use std::time::Duration;

use tapedeck_sdk::prelude::*;

use crate::attach::{Attempt, Trouble, trouble};
use crate::opening::{Attached, Opening, chain, find};
use crate::options::{Attribute, MemoryOptions};
use crate::process::{Image, Target, executable};
use crate::value::Conversion;

/// How often a target that has exited is looked for.
const REATTACH_INTERVAL: Duration = Duration::from_millis(250);

/// When the user is told why a target that has exited is not read again.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// Reads the variables of a process.
pub(crate) struct Memory {
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    host: Arc<dyn Host>,
    options: MemoryOptions,
    attributes: Vec<Attribute>,
    /// One for each attribute: all that a tick needs of it, close together.
    cells: Vec<Cell>,
    /// Text that had to be mended.
    text: String,
    state: State,
}

/// How an attribute's bytes get into a batch.
struct Cell {
    conversion: Conversion,
    /// Where the value lies in the slab, if it has a place of its own.
    slot: usize,
}

#[expect(clippy::large_enum_variant, reason = "there is one for each source")]
enum State {
    Attached(Attached),
    /// The target is gone, and is looked for.
    Absent {
        since: Timestamp,
        next_look: Timestamp,
        /// It is there again; its patterns are being searched.
        search: Option<(Target, Attempt)>,
        /// Whether the user knows why it takes so long.
        told: bool,
    },
}

/// How far a search has come.
enum Search {
    Done(Box<Attached>),
    /// The deadline was there first.
    Cut(Target, Attempt),
}

impl OpenSource for Memory {
    type Options = MemoryOptions;

    fn describe() -> Description {
        Description::source("memory", "Reads the variables of a running process")
            .gives(&[Kind::Attributes])
            .needs_rate()
    }

    fn check(options: &MemoryOptions) -> Result<(), Error> {
        options.parse().map(drop)
    }

    fn open(options: MemoryOptions, context: Context) -> Result<Self, Error> {
        let attributes = options.parse()?;
        let mut schema = StreamSchema::builder(&context.id, Kind::Attributes);
        for attribute in &attributes {
            schema = schema.push(attribute.value_type.field(&attribute.name));
        }
        let schema = schema.build()?;
        let mut pool = BatchPool::new(schema.clone());
        let cells = cells(&attributes, &mut pool);
        let attached =
            Opening { options: &options, attributes: &attributes, host: &*context.host }.attach()?;
        let longest = attributes.iter().map(|attribute| attribute.value_type.row_bytes()).max().unwrap_or(0);
        Ok(Self {
            streams: vec![schema],
            pool,
            host: context.host,
            text: String::with_capacity(longest),
            options,
            attributes,
            cells,
            state: State::Attached(attached),
        })
    }
}

/// The places in a slab are the same for every batch of one row.
fn cells(attributes: &[Attribute], pool: &mut BatchPool) -> Vec<Cell> {
    let mut builder = pool.builder(1);
    builder.push_rows(1);
    let cell = |(column, attribute): (usize, &Attribute)| {
        let conversion = attribute.value_type.conversion;
        let slot = match conversion {
            Conversion::Plain(_) | Conversion::Masked(_) => builder.slot(column, 0).start,
            Conversion::Bool | Conversion::Text => 0,
        };
        Cell { conversion, slot }
    };
    attributes.iter().enumerate().map(cell).collect()
}

impl Source for Memory {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        let State::Attached(attached) = &mut self.state else { return self.wait(deadline) };
        // Asked before the read, so that a number that was given to another process is never read.
        if attached.target.exited() {
            return Ok(self.ended());
        }
        let mut timestamp = Timestamp::UNSET;
        let host = &self.host;
        match attached.chain.read(attached.target.pid(), || timestamp = host.now()) {
            // Asked after the read: what was read is of the memory that the addresses are of.
            Ok(()) if attached.image.is_current() => {}
            Ok(()) => return Ok(self.ended()),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(self.ended()),
            Err(error) => return Err(trouble(&attached.target, &error).into_error()),
        }
        Ok(Next::Batch { output: 0, batch: self.row(timestamp) })
    }
}

impl Memory {
    /// The values that were read, as a batch of one row.
    fn row(&mut self, timestamp: Timestamp) -> Batch {
        let State::Attached(Attached { chain, .. }) = &self.state else {
            unreachable!("only an attached source has values")
        };
        let mut builder = self.pool.builder(1);
        builder.push_rows(1);
        builder.timestamps_mut()[0] = timestamp.nanos();
        let mut failed = false;
        for (column, &Cell { conversion, slot }) in self.cells.iter().enumerate() {
            let Some(bytes) = chain.value(column) else {
                failed = true;
                builder.set_null(column, 0);
                continue;
            };
            match conversion {
                Conversion::Plain(_) => put(&mut builder.slab_mut()[slot..], bytes),
                Conversion::Masked(mask) => builder.slab_mut()[slot] = bytes[0] & mask,
                Conversion::Bool => builder.set_bool(column, 0, bytes[0] != 0),
                Conversion::Text => {
                    let text = text(bytes, &mut self.text);
                    builder.last_row().set_str(column, text);
                }
            }
        }
        if failed {
            self.host.partial(1);
        }
        builder.finish()
    }

    /// The target is gone, or is another program.
    fn ended(&mut self) -> Next {
        let State::Attached(Attached { target, .. }) = &mut self.state else { return Next::Idle };
        let status = target.exit_status().map_or(String::new(), |status| format!(" ({status})"));
        let (name, pid) = (target.name(), target.pid());
        let has_memory = || Image::open(pid).is_ok_and(|image| image.is_current());
        let what = if target.exited() || !has_memory() {
            format!("the process \"{name}\" ({pid}) has exited{status}")
        } else {
            let program = executable(pid).unwrap_or_default();
            format!("the process \"{name}\" ({pid}) has become another program: {program}")
        };
        if !self.options.reattach {
            self.host.warn(&format!("{what}; the stream \"{}\" ends", self.streams[0].name()));
            return Next::End;
        }
        self.host.warn(&format!("{what}; waiting for \"{name}\" again, ticks until then count as late"));
        let now = self.host.now();
        self.state = State::Absent { since: now, next_look: now, search: None, told: false };
        self.absent()
    }

    /// A tick without a target.
    fn absent(&self) -> Next {
        self.host.absent(1);
        Next::Idle
    }

    /// Looks for the target again, but never beyond the deadline.
    fn wait(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        let now = self.host.now();
        let State::Absent { since, next_look, search, told } = &mut self.state else { return Ok(Next::Idle) };
        let (since, mut told) = (*since, *told);
        if search.is_none() && now < *next_look {
            return Ok(self.absent());
        }
        let search = search.take();
        let searched =
            search.map_or_else(|| self.look(), Ok).and_then(|search| self.search(search, deadline));
        let search = match searched {
            Ok(Search::Done(attached)) => {
                let target = &attached.target;
                self.host.warn(&format!(
                    "the process \"{}\" is there again ({}) after {:.1} s",
                    target.name(),
                    target.pid(),
                    now.since(since).as_secs_f64()
                ));
                self.state = State::Attached(*attached);
                return Ok(self.absent());
            }
            Ok(Search::Cut(target, attempt)) => Some((target, attempt)),
            Err(Trouble::Denied(error)) => return Err(error),
            // Everything else may change: it is looked for again later.
            Err(Trouble::Final(error) | Trouble::NotYet(error) | Trouble::Gone(error)) => {
                if !told && now.since(since) >= TELL_AFTER {
                    self.host.warn(&format!("still waiting: {}", error.message));
                    told = true;
                }
                None
            }
        };
        self.state = State::Absent { since, next_look: now + REATTACH_INTERVAL, search, told };
        Ok(self.absent())
    }

    fn look(&self) -> Result<(Target, Attempt), Trouble> {
        let mut target = find(&self.options)?;
        let attempt = Attempt::begin(&mut target, &self.attributes, &self.options)?;
        Ok((target, attempt))
    }

    fn search(
        &self,
        (target, mut attempt): (Target, Attempt),
        deadline: Timestamp,
    ) -> Result<Search, Trouble> {
        if !attempt.advance(&target, || self.host.now() < deadline)? {
            return Ok(Search::Cut(target, attempt));
        }
        let found = attempt.finish(&target, &self.attributes)?;
        let chain = chain(&self.attributes, &found);
        Ok(Search::Done(Box::new(Attached { target, image: found.image, chain })))
    }
}

/// Copies a value to where it belongs. The usual widths are single moves.
fn put(slot: &mut [u8], bytes: &[u8]) {
    match bytes.len() {
        8 => slot[..8].copy_from_slice(&bytes[..8]),
        4 => slot[..4].copy_from_slice(&bytes[..4]),
        2 => slot[..2].copy_from_slice(&bytes[..2]),
        1 => slot[0] = bytes[0],
        length => slot[..length].copy_from_slice(bytes),
    }
}

/// The text before the first NUL. What is no UTF-8 is replaced, in `mended`.
fn text<'a>(bytes: &'a [u8], mended: &'a mut String) -> &'a str {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let bytes = &bytes[..end];
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text;
    }
    mended.clear();
    for chunk in bytes.utf8_chunks() {
        mended.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            mended.push(char::REPLACEMENT_CHARACTER);
        }
    }
    mended
}
