//! The structs that cross the dynamic door. `sdk/include/tapedeck_plugin.h` is the same for C, and has the rules: which thread calls
//! what, who owns what, how long it lives. A test holds the two together.

use std::ffi::c_void;

/// `'T' 'D' 'P' 'L'`, little-endian: what [`Plugin::magic`] is.
pub const MAGIC: u32 = 0x4c50_4454;
/// The version of the contract. Another major version is refused; a minor version only adds to the end of structs.
pub const ABI_MAJOR: u16 = 2;
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
    /// Frames that are there with a value missing.
    pub partial: u64,
}

/// How far the recording of a stream is, in frames counted by `seq`. As [`crate::Watermark`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Watermark {
    /// Every sink has taken the frames before this `seq`, or they are among `lost`.
    pub written: u64,
    /// They survive a `kill -9`, too.
    pub flushed: u64,
    /// Some frames before this `seq` are lost; 0 as long as none is.
    pub lost: u64,
}

/// Who is told how far a recording is. The host takes it over, whatever comes of `follow`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Follower {
    /// What `moved` and `release` take first.
    pub data: *mut c_void,
    /// The watermark has moved. Called on the sinks' threads, never by two at once; must neither block nor call the host.
    /// Null is refused.
    pub moved: Option<unsafe extern "C" fn(data: *mut c_void, mark: *const Watermark)>,
    /// Called once, when `moved` is called no more; may be null.
    pub release: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

/// What a stage was told. Both texts are handed over.
#[repr(C)]
#[derive(Debug)]
pub struct Told {
    /// What is to be done.
    pub name: Bytes,
    /// With what, as JSON.
    pub value: Bytes,
}

/// [`Host::artifact`]: the file is a recording of all inputs of its sink.
pub const ROLE_RECORDING: u32 = 0;
/// The file is a recording of the one input that is named.
pub const ROLE_RECORDING_OF: u32 = 1;
/// The file lies beside a recording and is not read back.
pub const ROLE_BESIDE: u32 = 2;

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
    /// Counts frames that a source could not give, or a transform not hand on. A sink refuses frames instead.
    pub failed: unsafe extern "C" fn(context: *mut c_void, frames: u64),
    /// Counts frames that are there with a value missing.
    pub partial: unsafe extern "C" fn(context: *mut c_void, frames: u64),
    /// Tells the user something once; the text is UTF-8.
    pub warn: unsafe extern "C" fn(context: *mut c_void, message: *const u8, length: u64),
    /// Sets a mark at this moment of the session.
    pub mark: unsafe extern "C" fn(context: *mut c_void, label: *const u8, length: u64),
    /// Pauses the session.
    pub pause: unsafe extern "C" fn(context: *mut c_void),
    /// Ends a pause.
    pub resume: unsafe extern "C" fn(context: *mut c_void),
    /// 1 while the session pauses, else 0.
    pub is_paused: unsafe extern "C" fn(context: *mut c_void) -> u32,
    /// What the stage was told, the oldest first: 1 and `told` is filled, or 0.
    pub told: unsafe extern "C" fn(context: *mut c_void, told: *mut Told) -> u32,
    /// Follows how far the recording of a source's output is.
    pub follow: unsafe extern "C" fn(
        context: *mut c_void,
        output: u32,
        follower: *const Follower,
        error: *mut Error,
    ) -> Status,
    /// Registers a file that this stage is about to make; hands out its full path, to be released by the plugin. `role` is
    /// [`ROLE_RECORDING`] or another; `input` belongs to [`ROLE_RECORDING_OF`].
    pub artifact: unsafe extern "C" fn(
        context: *mut c_void,
        name: *const u8,
        length: u64,
        role: u32,
        input: u32,
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
    /// Counts ticks at which a paced source had nothing to sample.
    pub absent: unsafe extern "C" fn(context: *mut c_void, ticks: u64),
    /// Counts frames that are left out by intent.
    pub left_out: unsafe extern "C" fn(context: *mut c_void, frames: u64),
}

/// Where a sink says which frames it refuses. Valid during the call only, on its thread only.
#[repr(C)]
#[derive(Debug)]
pub struct Refusals {
    /// What `refuse` takes first.
    pub context: *mut c_void,
    /// Refuses `frames` frames of `input`, the first and the last of which have these `seq`. `status` and `reason` are those of an
    /// error; its texts are handed over.
    pub refuse: unsafe extern "C" fn(
        context: *mut c_void,
        input: u32,
        frames: u64,
        first_seq: u64,
        last_seq: u64,
        status: Status,
        reason: *mut Error,
    ),
}

/// Where `next`, `process`, `flush_transform` and `finish_transform` put what they made. Valid during the call only, on its thread only.
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
/// See [`Plugin::stop`].
pub type Stop = unsafe extern "C" fn(instance: Instance, more: *mut u32, error: *mut Error) -> Status;
/// See [`Plugin::process`].
pub type Process = unsafe extern "C" fn(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    outputs: *const Outputs,
    error: *mut Error,
) -> Status;
/// See [`Plugin::flush_transform`].
pub type FlushTransform =
    unsafe extern "C" fn(instance: Instance, now: i64, outputs: *const Outputs, error: *mut Error) -> Status;
/// See [`Plugin::finish_transform`].
pub type FinishTransform = unsafe extern "C" fn(
    instance: Instance,
    outputs: *const Outputs,
    report: *mut Bytes,
    error: *mut Error,
) -> Status;
/// See [`Plugin::write`].
pub type Write = unsafe extern "C" fn(
    instance: Instance,
    input: u32,
    batch: *const Bytes,
    refusals: *const Refusals,
    error: *mut Error,
) -> Status;
/// See [`Plugin::flush_sink`] and [`Plugin::finish_sink`].
pub type EndWrite =
    unsafe extern "C" fn(instance: Instance, refusals: *const Refusals, error: *mut Error) -> Status;
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
    /// The session is about to end: sets `*more` to 1 if `next` is to be called until the source ends. May be null.
    pub stop: Option<Stop>,
    /// Takes one batch of a transform's input. The batch is shown, not handed over.
    pub process: Option<Process>,
    /// Hands on what a transform has held back long enough. May be null.
    pub flush_transform: Option<FlushTransform>,
    /// The streams of a transform have ended; hands over a sentence for the final report, or leaves it empty. Nothing but `close` is
    /// called afterwards.
    pub finish_transform: Option<FinishTransform>,
    /// Takes one batch of a sink's input. The batch is shown, not handed over.
    pub write: Option<Write>,
    /// Makes what a sink wrote survive a kill.
    pub flush_sink: Option<EndWrite>,
    /// The streams of a sink have ended. Nothing but `close` is called afterwards.
    pub finish_sink: Option<EndWrite>,
    /// Ends the instance; nothing is called with it afterwards.
    pub close: Option<Close>,
}
