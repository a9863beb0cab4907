//! The table that a library exports, looked at before anything in it is called. What comes out of here has no null in it.

use tapedeck_sdk::native::abi::{self, Plugin};
use tapedeck_sdk::{Error, PluginKind};

/// The calls that every kind has.
#[derive(Clone, Copy)]
pub(super) struct Common {
    pub(super) describe: abi::Describe,
    pub(super) check: abi::Check,
    pub(super) open: abi::Open,
    pub(super) close: abi::Close,
}

/// The calls of a source.
#[derive(Clone, Copy)]
pub(super) struct SourceCalls {
    pub(super) streams: abi::Streams,
    pub(super) next: abi::Next,
    pub(super) stop: Option<abi::Stop>,
}

/// The calls of a transform.
#[derive(Clone, Copy)]
pub(super) struct TransformCalls {
    pub(super) streams: abi::Streams,
    pub(super) process: abi::Process,
    pub(super) flush: Option<abi::FlushTransform>,
    pub(super) finish: abi::FinishTransform,
}

/// The calls of a sink.
#[derive(Clone, Copy)]
pub(super) struct SinkCalls {
    pub(super) write: abi::Write,
    pub(super) flush: abi::EndWrite,
    pub(super) finish: abi::EndWrite,
}

/// The calls of one kind.
#[derive(Clone, Copy)]
pub(super) enum Calls {
    Source(SourceCalls),
    Transform(TransformCalls),
    Sink(SinkCalls),
}

impl Calls {
    pub(super) fn kind(&self) -> PluginKind {
        match self {
            Self::Source(_) => PluginKind::Source,
            Self::Transform(_) => PluginKind::Transform,
            Self::Sink(_) => PluginKind::Sink,
        }
    }
}

/// Looks at the table behind `table`: the version before the size, and the size before anything else is read.
///
/// # Errors
/// What is wrong with it, without the path.
///
/// # Safety
/// `table` is the address of a symbol of a loaded library. If it begins as a table does, it is as long as it says.
pub(super) unsafe fn read(table: *const Plugin) -> Result<(Common, Calls), Error> {
    if table.is_null() || !table.is_aligned() {
        return Err(no_plugin("its symbol \"tapedeck_plugin\" is no table"));
    }
    // SAFETY: a symbol has at least a word; the members that follow are read once the ones before have said that they are there.
    let magic = unsafe { (&raw const (*table).magic).read() };
    if magic != abi::MAGIC {
        return Err(no_plugin(&format!(
            "its table begins with {magic:#010x}, not with {:#010x}",
            abi::MAGIC
        )));
    }
    // SAFETY: every version of the table begins with these.
    let [major, minor] =
        unsafe { [(&raw const (*table).abi_major).read(), (&raw const (*table).abi_minor).read()] };
    versions(major, minor)?;
    // SAFETY: as above.
    let size = unsafe { (&raw const (*table).size).read() } as usize;
    if size < size_of::<Plugin>() {
        let least = size_of::<Plugin>();
        let what = format!("its table has {size} bytes, version {}.0 has {least}", abi::ABI_MAJOR);
        return Err(Error::plugin(what).with_hint("Set `size` to `sizeof(tapedeck_plugin_table)`."));
    }
    // SAFETY: the table says that it is long enough.
    calls(&unsafe { *table })
}

fn no_plugin(what: &str) -> Error {
    Error::plugin(what).with_hint("Is this a Tapedeck plugin?")
}

fn versions(major: u16, minor: u16) -> Result<(), Error> {
    let spoken = abi::ABI_MAJOR;
    if major == spoken {
        return Ok(());
    }
    let what = format!(
        "it was built for version {major} of the contract ({major}.{minor}), this engine speaks {spoken}"
    );
    Err(Error::plugin(what).with_hint(if major > spoken {
        "Update tapedeck."
    } else {
        "Rebuild the plugin."
    }))
}

fn calls(table: &Plugin) -> Result<(Common, Calls), Error> {
    let common = Common {
        describe: there(table.describe, "describe")?,
        check: there(table.check, "check")?,
        open: there(table.open, "open")?,
        close: there(table.close, "close")?,
    };
    let calls = match table.kind {
        abi::KIND_SOURCE => Calls::Source(SourceCalls {
            streams: there(table.streams, "streams")?,
            next: there(table.next, "next")?,
            stop: table.stop,
        }),
        abi::KIND_TRANSFORM => Calls::Transform(TransformCalls {
            streams: there(table.streams, "streams")?,
            process: there(table.process, "process")?,
            flush: table.flush_transform,
            finish: there(table.finish_transform, "finish_transform")?,
        }),
        abi::KIND_SINK => Calls::Sink(SinkCalls {
            write: there(table.write, "write")?,
            flush: there(table.flush_sink, "flush_sink")?,
            finish: there(table.finish_sink, "finish_sink")?,
        }),
        other => {
            return Err(Error::plugin(format!("its kind is {other}"))
                .with_hint("It is 0 for a source, 1 for a transform and 2 for a sink."));
        }
    };
    Ok((common, calls))
}

fn there<F>(function: Option<F>, name: &str) -> Result<F, Error> {
    function.ok_or_else(|| {
        Error::plugin(format!("its function \"{name}\" is null"))
            .with_hint("A plugin of this kind needs it; `tapedeck_plugin.h` says what it does.")
    })
}
