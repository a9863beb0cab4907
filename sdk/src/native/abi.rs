//! The structs that cross the dynamic door. `sdk/include/tapedeck_plugin.h` is the same for C, and has the rules: which thread calls
//! what, who owns what, how long it lives. A test holds the two together.

use std::ffi::c_void;

/// `'T' 'D' 'P' 'L'`, little-endian: what [`Plugin::magic`] is.
pub const MAGIC: u32 = 0x4c50_4454;
/// The version of the contract. Another major version is refused; a minor version only adds to the end of structs.
pub const ABI_MAJOR: u16 = 1;
/// See [`ABI_MAJOR`].
pub const ABI_MINOR: u16 = 0;
/// The one symbol that a library exports: a [`Plugin`].
pub const SYMBOL: &str = "tapedeck_plugin";

/// Bytes with their owner: a batch's slab, or JSON or text in UTF-8.
///
/// Who is handed one to keep calls `release` once when done, from any thread; without a `release` the bytes are static. Who is only
/// shown one calls `retain` to keep it, or copies it if there is no `retain`. The bytes never change. Behind every text of the host's
/// stands a zero byte that `length` does not count.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// The first byte; a slab begins at a multiple of 8.
    pub bytes: *const u8,
    /// How many.
    pub length: u64,
    /// What `retain` and `release` take.
    pub owner: *mut c_void,
    /// Adds a holder.
    pub retain: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// Takes a holder away.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self =
        Self { bytes: std::ptr::null(), length: 0, owner: std::ptr::null_mut(), retain: None, release: None };
}

/// What went wrong; which sort, the return value says ([`Status`]). Who returned it owns the texts until the caller has released them.
/// Empty when a call begins, and still so when it returns [`OK`].
#[repr(C)]
#[derive(Debug)]
pub struct Error {
    /// What was being done, to what, and what went wrong.
    pub message: Bytes,
    /// What to do next; may be empty.
    pub hint: Bytes,
    /// The option to blame: keys below the plugin's table, joined by newlines; may be empty.
    pub option: Bytes,
}

impl Error {
    /// No error.
    pub const EMPTY: Self = Self { message: Bytes::EMPTY, hint: Bytes::EMPTY, option: Bytes::EMPTY };
}

/// What every call returns: [`OK`], or which sort of trouble it is, in the order of [`ErrorKind`](crate::ErrorKind).
pub type Status = i32;
/// All is well.
pub const OK: Status = 0;
/// An option is wrong.
pub const OPTIONS: Status = 1;
/// The world is not as the pipeline expects.
pub const ENVIRONMENT: Status = 2;
/// The data cannot be taken.
pub const DATA: Status = 3;
/// Reading or writing failed.
pub const IO: Status = 4;
/// The plugin broke its contract, or panicked.
pub const PLUGIN: Status = 5;

/// What was lost of a stream so far, in frames.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Loss {
    /// Ticks that the source missed.
    pub late: u64,
    /// Frames that a full queue dropped.
    pub dropped: u64,
    /// Frames that a stage could not take.
    pub failed: u64,
}

/// What a plugin can ask of the engine. Every call may come from any thread and never blocks. Valid until `close` has returned, and
/// longer for who has called `retain`: a plugin may have threads of its own that outlive the instance.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Bytes of this struct, in the host's version.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// What every call takes first.
    pub context: *mut c_void,
    /// Adds a holder of `context`.
    pub retain: unsafe extern "C" fn(context: *mut c_void),
    /// Takes a holder of `context` away.
    pub release: unsafe extern "C" fn(context: *mut c_void),
    /// The session clock, in nanoseconds since the Unix epoch.
    pub now: unsafe extern "C" fn(context: *mut c_void) -> i64,
    /// Counts frames that this stage could take only in part or not at all.
    pub failed: unsafe extern "C" fn(context: *mut c_void, frames: u64),
    /// Tells the user something once; the text is UTF-8.
    pub warn: unsafe extern "C" fn(context: *mut c_void, message: *const u8, length: u64),
    /// Registers a file that this stage is about to make; hands out its full path, to be released by the plugin.
    pub artifact: unsafe extern "C" fn(
        context: *mut c_void,
        name: *const u8,
        length: u64,
        path: *mut Bytes,
        error: *mut Error,
    ) -> Status,
    /// What was lost of a stream so far.
    pub loss: unsafe extern "C" fn(context: *mut c_void, stream: *const u8, length: u64, loss: *mut Loss),
    /// The Arrow C Data Interface view of a batch of input `input`: fills an `ArrowArray` and an `ArrowSchema` (struct type), which
    /// the plugin releases as Arrow says. No values are copied.
    pub to_arrow: unsafe extern "C" fn(
        context: *mut c_void,
        input: u32,
        batch: *const Bytes,
        array: *mut c_void,
        schema: *mut c_void,
        error: *mut Error,
    ) -> Status,
}

/// Where `next`, `process` and `finish` put what they made. Valid during the call only, on its thread only.
#[repr(C)]
#[derive(Debug)]
pub struct Outputs {
    /// What `push` takes first.
    pub context: *mut c_void,
    /// Hands a batch on; the host takes over the one holder that `batch` stands for, whatever comes of it.
    pub push: unsafe extern "C" fn(context: *mut c_void, output: u32, batch: *const Bytes),
}

/// What [`Next`] says: frames were handed on, or there may be more at once.
pub const NEXT_MORE: u32 = 0;
/// Nothing until the deadline.
pub const NEXT_IDLE: u32 = 1;
/// The source has ended by itself.
pub const NEXT_END: u32 = 2;

/// [`Plugin::kind`] of a source.
pub const KIND_SOURCE: u32 = 0;
/// [`Plugin::kind`] of a transform.
pub const KIND_TRANSFORM: u32 = 1;
/// [`Plugin::kind`] of a sink.
pub const KIND_SINK: u32 = 2;

/// What a plugin calls an instance of its own; the engine only hands it back.
pub type Instance = *mut c_void;
/// See [`Plugin::describe`].
pub type Describe = unsafe extern "C" fn(descriptor: *mut Bytes);
/// See [`Plugin::check`].
pub type Check = unsafe extern "C" fn(options: *const Bytes, error: *mut Error) -> Status;
/// See [`Plugin::open`].
pub type Open = unsafe extern "C" fn(
    options: *const Bytes,
    context: *const Bytes,
    inputs: *const Bytes,
    host: *const Host,
    instance: *mut Instance,
    error: *mut Error,
) -> Status;
/// See [`Plugin::streams`].
pub type Streams = unsafe extern "C" fn(
    instance: Instance,
    inputs: *const Bytes,
    streams: *mut Bytes,
    error: *mut Error,
) -> Status;
/// See [`Plugin::next`].
pub type Next = unsafe extern "C" fn(
    instance: Instance,
    deadline: i64,
    outputs: *const Outputs,
    state: *mut u32,
    error: *mut Error,
) -> Status;
/// See [`Plugin::process`].
pub type Process = unsafe extern "C" fn(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    outputs: *const Outputs,
    error: *mut Error,
) -> Status;
/// See [`Plugin::write`].
pub type Write =
    unsafe extern "C" fn(instance: Instance, input: u32, batch: *const Bytes, error: *mut Error) -> Status;
/// See [`Plugin::flush`].
pub type Flush = unsafe extern "C" fn(instance: Instance, error: *mut Error) -> Status;
/// See [`Plugin::finish`].
pub type Finish =
    unsafe extern "C" fn(instance: Instance, outputs: *const Outputs, error: *mut Error) -> Status;
/// See [`Plugin::report`].
pub type Report = unsafe extern "C" fn(instance: Instance, report: *mut Bytes);
/// See [`Plugin::close`].
pub type Close = unsafe extern "C" fn(instance: Instance);

/// The plugin: a static of the library, under the name [`SYMBOL`]. A call that the kind does not have is null.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// [`MAGIC`].
    pub magic: u32,
    /// Bytes of this struct, in the plugin's version.
    pub size: u32,
    /// [`ABI_MAJOR`] of the plugin.
    pub abi_major: u16,
    /// [`ABI_MINOR`] of the plugin.
    pub abi_minor: u16,
    /// [`KIND_SOURCE`], [`KIND_TRANSFORM`] or [`KIND_SINK`].
    pub kind: u32,
    /// The descriptor, as JSON. Any thread.
    pub describe: Option<Describe>,
    /// Looks at options (JSON) alone; free of side effects. Any thread.
    pub check: Option<Check>,
    /// Opens an instance. Options and context are JSON; a sink's `inputs` a JSON array of schemas, else empty.
    pub open: Option<Open>,
    /// A source's streams, or the streams that a transform makes of `inputs`: JSON arrays of schemas.
    pub streams: Option<Streams>,
    /// The next frames of a source.
    pub next: Option<Next>,
    /// Takes one batch of a transform's input. The batch is shown, not handed over.
    pub process: Option<Process>,
    /// Takes one batch of a sink's input. The batch is shown, not handed over.
    pub write: Option<Write>,
    /// Makes what a sink wrote survive a kill.
    pub flush: Option<Flush>,
    /// The streams of a transform or a sink have ended. `outputs` is null for a sink.
    pub finish: Option<Finish>,
    /// A sentence for the final report; empty if there is nothing to say. May be null.
    pub report: Option<Report>,
    /// Ends the instance; nothing is called with it afterwards.
    pub close: Option<Close>,
}
