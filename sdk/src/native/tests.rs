//! Tests of the plugin's side: the C header against our structs, holders that are all given back, and plugins that panic everywhere.

use std::ffi::c_void;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use proptest::prelude::*;

use super::abi::{self, Bytes, Status};
use super::shown::Shown;
use super::{ForeignSlab, Text, give, hear, keep, lend, take, tell};
use crate::prelude::*;
use crate::testing::{all_types, sample};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Compiles with everything that the compiler can object to, and returns what it said if it did.
fn compile(compiler: &str, arguments: &[&str], source: &Path, output: &Path) -> Result<(), String> {
    let made = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(include())
        .args(arguments)
        .arg(source)
        .arg("-o")
        .arg(output)
        .output()
        .map_err(|error| format!("{compiler}: {error}"))?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned()) }
}

/// A folder of this test run, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tapedeck-native-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Name of the C struct, its size, and its members with their offsets.
type Layout = (&'static str, usize, Vec<(&'static str, usize)>);

macro_rules! layout {
    ($name:literal, $type:ty, $($member:ident),*) => {
        ($name, size_of::<$type>(), vec![$((stringify!($member), offset_of!($type, $member))),*])
    };
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!("tapedeck_bytes", Bytes, bytes, length, owner, retain, release),
        layout!("tapedeck_error", abi::Error, message, hint, option),
        layout!("tapedeck_loss", abi::Loss, late, dropped, failed, partial),
        layout!("tapedeck_watermark", abi::Watermark, written, flushed, lost),
        layout!("tapedeck_follower", abi::Follower, data, moved, release),
        layout!("tapedeck_told", abi::Told, name, value),
        layout!("tapedeck_refusals", abi::Refusals, context, refuse),
        layout!(
            "tapedeck_host",
            abi::Host,
            size,
            reserved,
            context,
            retain,
            release,
            now,
            failed,
            partial,
            warn,
            mark,
            pause,
            resume,
            is_paused,
            told,
            follow,
            artifact,
            loss,
            to_arrow,
            absent,
            left_out
        ),
        layout!("tapedeck_outputs", abi::Outputs, context, push),
        layout!(
            "tapedeck_plugin_table",
            abi::Plugin,
            magic,
            size,
            abi_major,
            abi_minor,
            kind,
            describe,
            check,
            open,
            streams,
            next,
            stop,
            process,
            flush_transform,
            finish_transform,
            write,
            flush_sink,
            finish_sink,
            close
        ),
    ]
}

#[test]
fn the_header_and_the_structs_are_the_same() {
    let folder = Folder::new("layout");
    let mut program = "#include <stdio.h>\n#include \"tapedeck_plugin.h\"\nint main(void) {\n".to_owned();
    let mut expected = String::new();
    let mut print = |expression: &str, value: u64| {
        program += &format!("    printf(\"{expression} %llu\\n\", (unsigned long long)({expression}));\n");
        expected += &format!("{expression} {value}\n");
    };
    for (name, size, members) in layouts() {
        print(&format!("sizeof({name})"), size as u64);
        for (member, offset) in members {
            print(&format!("offsetof({name}, {member})"), offset as u64);
        }
    }
    for (name, value) in [
        ("TAPEDECK_MAGIC", u64::from(abi::MAGIC)),
        ("TAPEDECK_ABI_MAJOR", u64::from(abi::ABI_MAJOR)),
        ("TAPEDECK_ABI_MINOR", u64::from(abi::ABI_MINOR)),
        ("TAPEDECK_SOURCE", u64::from(abi::KIND_SOURCE)),
        ("TAPEDECK_TRANSFORM", u64::from(abi::KIND_TRANSFORM)),
        ("TAPEDECK_SINK", u64::from(abi::KIND_SINK)),
        ("TAPEDECK_MORE", u64::from(abi::NEXT_MORE)),
        ("TAPEDECK_IDLE", u64::from(abi::NEXT_IDLE)),
        ("TAPEDECK_END", u64::from(abi::NEXT_END)),
        ("TAPEDECK_RECORDING", u64::from(abi::ROLE_RECORDING)),
        ("TAPEDECK_RECORDING_OF", u64::from(abi::ROLE_RECORDING_OF)),
        ("TAPEDECK_BESIDE", u64::from(abi::ROLE_BESIDE)),
        ("TAPEDECK_SLAB_BYTES_MAX", crate::batch::SLAB_BYTES_MAX as u64),
        ("sizeof(tapedeck_slab)", Batch::HEADER_BYTES as u64),
    ] {
        print(name, value);
    }
    let statuses = [
        ("TAPEDECK_OK", abi::OK),
        ("TAPEDECK_OPTIONS", abi::OPTIONS),
        ("TAPEDECK_ENVIRONMENT", abi::ENVIRONMENT),
        ("TAPEDECK_DATA", abi::DATA),
        ("TAPEDECK_IO", abi::IO),
        ("TAPEDECK_PLUGIN", abi::PLUGIN),
    ];
    statuses.iter().for_each(|&(name, status)| print(name, u64::try_from(status).unwrap()));
    program += "    return 0;\n}\n";
    let (source, binary) = (folder.0.join("layout.c"), folder.0.join("layout"));
    std::fs::write(&source, program).unwrap();
    compile("cc", &["-std=c99"], &source, &binary).unwrap();
    let printed = Command::new(binary).output().unwrap().stdout;
    assert_eq!(String::from_utf8(printed).unwrap(), expected);
}

#[test]
fn the_header_is_c99_and_cpp11() {
    let folder = Folder::new("dialects");
    let text = "#include \"tapedeck_plugin.h\"\n#include \"tapedeck_plugin.h\"\n";
    for (compiler, standard, name) in
        [("cc", "-std=c99", "a.c"), ("cc", "-std=c17", "b.c"), ("c++", "-std=c++11", "c.cpp")]
    {
        let source = folder.0.join(name);
        std::fs::write(&source, text).unwrap();
        compile(compiler, &[standard, "-c"], &source, &folder.0.join("out.o")).unwrap();
    }
}

#[test]
fn statuses_are_in_the_order_of_the_error_kinds() {
    let kinds =
        [ErrorKind::Options, ErrorKind::Environment, ErrorKind::Data, ErrorKind::Io, ErrorKind::Plugin];
    for (kind, expected) in kinds.into_iter().zip(1..) {
        let mut error = abi::Error::EMPTY;
        // SAFETY: `error` can be written, and what `tell` puts there keeps the contract.
        let status = unsafe { tell(Error::new(kind, "x"), &raw mut error) };
        assert_eq!(status, expected);
        // SAFETY: as above.
        assert_eq!(unsafe { hear(status, &mut error) }, Err(Error::new(kind, "x")));
    }
}

#[test]
fn an_unknown_status_and_rubbish_text_are_an_error_that_can_be_shown() {
    let told = |status: Status, message: &[u8]| {
        let mut error = abi::Error { message: Text::new(message).give(), ..abi::Error::EMPTY };
        // SAFETY: the text is one of our own.
        unsafe { hear(status, &mut error) }.unwrap_err()
    };
    let unknown = told(-7, b"so");
    assert_eq!((unknown.kind, unknown.message.contains("-7")), (ErrorKind::Plugin, true), "{unknown}");
    assert_eq!(told(abi::DATA, b"a\xff\xfeb").message, "a\u{fffd}\u{fffd}b");
    assert_eq!(told(abi::DATA, &vec![b'x'; 1 << 20]).message.len(), 64 * 1024);
    assert!(!told(abi::IO, b"").message.is_empty());
}

#[test]
fn an_error_that_comes_with_success_is_not_told_with_the_next_one() {
    let mut place = abi::Error { hint: Text::new(b"stale").give(), ..abi::Error::EMPTY };
    // SAFETY: the text is one of our own.
    unsafe { hear(abi::OK, &mut place) }.unwrap();
    place.message = Text::new(b"fresh").give();
    // SAFETY: as above.
    let error = unsafe { hear(abi::DATA, &mut place) }.unwrap_err();
    assert_eq!((error.message.as_str(), error.hint), ("fresh", None));
}

proptest! {
    #[test]
    fn errors_survive_the_door(
        message in ".{1,40}",
        hint in proptest::option::of(".{1,40}"),
        option in proptest::collection::vec("[^\n]{1,9}", 0..3),
    ) {
        let error = Error { kind: ErrorKind::Io, message, hint, option };
        let mut texts = abi::Error::EMPTY;
        // SAFETY: `texts` can be written, and what `tell` puts there keeps the contract.
        let back = unsafe {
            let status = tell(error.clone(), &raw mut texts);
            hear(status, &mut texts)
        };
        prop_assert_eq!(back, Err(error));
    }
}

/// Bytes whose holders are counted, at a multiple of 8.
struct Counted {
    words: Vec<u64>,
    holders: AtomicI64,
}

impl Counted {
    fn new(slab: &[u8]) -> Self {
        let words = slab.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Self { words: words.collect(), holders: AtomicI64::new(1) }
    }

    fn bytes(&self, length: u64) -> Bytes {
        unsafe extern "C" fn retain(owner: *mut c_void) {
            // SAFETY: `owner` is a `Counted` that outlives its holders.
            unsafe { &*owner.cast::<Counted>() }.holders.fetch_add(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn release(owner: *mut c_void) {
            // SAFETY: as above.
            unsafe { &*owner.cast::<Counted>() }.holders.fetch_sub(1, Ordering::Relaxed);
        }
        Bytes {
            bytes: self.words.as_ptr().cast(),
            length,
            owner: (&raw const *self).cast_mut().cast(),
            retain: Some(retain),
            release: Some(release),
        }
    }

    fn holders(&self) -> i64 {
        self.holders.load(Ordering::Relaxed)
    }
}

#[test]
fn every_holder_of_a_foreign_slab_is_given_back() {
    let schema = all_types(true);
    let batch = sample(&schema, 5, 20, 1);
    let slab = Counted::new(batch.as_bytes());
    let bytes = slab.bytes(batch.byte_len() as u64);
    // SAFETY: `slab` outlives everything here and keeps the contract.
    let shown = unsafe { keep(schema.clone(), &bytes) }.unwrap();
    assert!(shown == batch);
    assert_eq!((slab.holders(), shown.as_bytes().as_ptr()), (2, bytes.bytes));
    // Shown on to a third, it is still the first one's: no holder stands in between.
    let on = give(shown.clone());
    assert_eq!((slab.holders(), on.owner), (3, bytes.owner));
    // SAFETY: as above; `on` and `bytes` stand for a holder each.
    let [taken, last] = [on, bytes].map(|bytes| unsafe { take(schema.clone(), &bytes) }.unwrap());
    assert!(taken == last);
    drop((shown, taken, last));
    assert_eq!(slab.holders(), 0);
}

#[test]
fn our_own_slab_comes_back_as_itself() {
    let schema = all_types(false);
    let batch = sample(&schema, 0, 3, 2);
    // SAFETY: what `lend` and `give` make keeps the contract while `batch` is there.
    let [kept, taken] = unsafe {
        [keep(schema.clone(), &lend(&batch)).unwrap(), take(schema.clone(), &give(batch.clone())).unwrap()]
    };
    assert!(Arc::ptr_eq(&kept.slab, &batch.slab) && Arc::ptr_eq(&taken.slab, &batch.slab));
    drop((kept, taken));
    assert_eq!(Arc::strong_count(&batch.slab), 1);
}

/// Slabs of several shapes, one after the other.
fn slabs(schema: &Arc<StreamSchema>, rows: &[usize]) -> Vec<(Batch, Counted)> {
    let make = |(number, &rows): (usize, &usize)| {
        let batch = sample(schema, number as u64 * 100, rows, number as u64 + 1);
        let slab = Counted::new(batch.as_bytes());
        (batch, slab)
    };
    rows.iter().enumerate().map(make).collect()
}

#[test]
fn a_batch_that_is_shown_is_read_in_place_and_only_what_is_kept_is_retained() {
    let schema = all_types(true);
    let (mut shown, mut kept) = (Shown::default(), Vec::new());
    let slabs = slabs(&schema, &[4, 4, 4, 7, 4, 4, 4, 4]);
    for (number, (batch, slab)) in slabs.iter().enumerate() {
        let bytes = slab.bytes(batch.byte_len() as u64);
        let look = |seen: Batch| {
            assert!(seen == *batch && seen.as_bytes().as_ptr() == bytes.bytes);
            // What is handed on during the call has a holder of its own.
            let on = give(seen.clone());
            assert_eq!(on.owner, bytes.owner);
            // SAFETY: `on` was handed over.
            drop(unsafe { ForeignSlab::new(on) });
            (number % 3 == 2).then_some(seen)
        };
        // SAFETY: the slab outlives everything here and keeps the contract.
        kept.extend(unsafe { shown.during(&schema, &bytes, look) }.unwrap());
        assert_eq!(slab.holders(), if number % 3 == 2 { 2 } else { 1 }, "batch {number}");
    }
    assert!(kept[0] == slabs[2].0 && kept[1] == slabs[5].0);
    drop((kept, shown));
    assert!(slabs.iter().all(|(_, slab)| slab.holders() == 1));
}

#[test]
fn a_batch_that_is_kept_on_another_thread_outlives_the_call() {
    let schema = all_types(false);
    let (mut shown, slabs) = (Shown::default(), slabs(&schema, &[3; 64]));
    std::thread::scope(|scope| {
        for (batch, slab) in &slabs {
            let look = |seen: Batch| drop(scope.spawn(move || assert!(seen == *batch)));
            // SAFETY: the slab outlives everything here and keeps the contract.
            unsafe { shown.during(&schema, &slab.bytes(batch.byte_len() as u64), look) }.unwrap();
        }
    });
    drop(shown);
    assert!(slabs.iter().all(|(_, slab)| slab.holders() == 1));
}

#[test]
fn a_call_that_panics_gives_its_holder_back() {
    let schema = all_types(false);
    let (mut shown, slabs) = (Shown::default(), slabs(&schema, &[3, 3, 3]));
    for (number, (batch, slab)) in slabs.iter().enumerate() {
        let bytes = slab.bytes(batch.byte_len() as u64);
        let look = std::panic::AssertUnwindSafe(|seen: Batch| assert!(number != 1, "{seen:?}"));
        let (shown, schema) = (&mut shown, &schema);
        // SAFETY: the slab outlives everything here and keeps the contract.
        let call = std::panic::AssertUnwindSafe(move || unsafe { shown.during(schema, &bytes, look.0) });
        assert_eq!(std::panic::catch_unwind(call).is_err(), number == 1);
        assert_eq!(slab.holders(), 1);
    }
    drop(shown);
}

#[test]
fn a_slab_that_is_shown_and_is_none_is_refused() {
    let schema = all_types(false);
    let (mut shown, slabs) = (Shown::default(), slabs(&schema, &[3, 3]));
    let length = slabs[0].0.byte_len() as u64;
    let mut call = |slab: &Counted, length: u64| {
        // SAFETY: the slab outlives everything here; no more is read than is there.
        unsafe { shown.during(&schema, &slab.bytes(length), drop) }.is_ok()
    };
    assert!(call(&slabs[0].1, length));
    for wrong in [0, 16, length - 8] {
        assert!(!call(&slabs[1].1, wrong), "{wrong} bytes");
        assert!(call(&slabs[0].1, length), "after {wrong} bytes");
    }
    assert!(slabs.iter().all(|(_, slab)| slab.holders() == 1));
}

#[test]
fn a_slab_that_is_none_is_refused_and_released() {
    let schema = all_types(true);
    let good = sample(&schema, 0, 20, 3);
    let set = |at: usize, word: u32| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    let length = good.byte_len() as u64;
    let cases = [
        ("another magic", set(0, 1), length),
        ("more rows than seq has", set(4, 21), length),
        ("four billion rows", set(4, u32::MAX), length),
        ("another number of columns", set(8, 2), length),
        ("another length in the header", set(16, 1 << 31), length),
        ("seq behind the end", set(32, 1 << 29), length),
        ("timestamps at an odd place", set(48, 1001), length),
        ("fewer bytes than the header says", good.as_bytes().to_vec(), length - 8),
        ("a header alone", good.as_bytes().to_vec(), 32),
        ("nothing", good.as_bytes().to_vec(), 0),
        ("2 GiB", good.as_bytes().to_vec(), 1 << 31),
        ("more than there is memory", good.as_bytes().to_vec(), u64::MAX),
    ];
    for (what, bytes, length) in cases {
        let slab = Counted::new(&bytes);
        // SAFETY: no more is read than the header, which is there, unless the length is one that is refused unseen.
        let refused = unsafe { take(schema.clone(), &slab.bytes(length)) };
        assert!(refused.is_err(), "{what}");
        assert_eq!(slab.holders(), 0, "{what}");
    }
    let missing = Bytes { length: 4096, ..Bytes::EMPTY };
    // SAFETY: a null pointer is not read.
    assert!(unsafe { take(schema, &missing) }.is_err());
}

#[test]
fn bytes_of_the_heap_are_freed() {
    let schema = all_types(false);
    let batch = sample(&schema, 0, 3, 2);
    let adopted = Batch::adopt(schema, ForeignSlab::from_vec(batch.as_bytes().to_vec())).unwrap();
    assert!(adopted == batch);
}

/// In which call a test plugin panics.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The call.
    panics_in: String,
}

struct Panicking {
    options: Options,
    streams: Vec<Arc<StreamSchema>>,
    calls: u32,
    _host: Arc<dyn Host>,
}

impl Options {
    /// Panics the first time.
    fn hit(&self, call: &str, calls: &mut u32) {
        if self.panics_in == call {
            *calls += 1;
            assert!(*calls > 1, "in {call}");
        }
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        self.options.hit("close", &mut self.calls);
    }
}

impl Panicking {
    fn new(options: Options, streams: Vec<Arc<StreamSchema>>, context: Context) -> Result<Self, Error> {
        options.hit("open", &mut 0);
        Ok(Self { options, streams, calls: 0, _host: context.host })
    }
}

impl Source for Panicking {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        self.options.hit("streams", &mut 0);
        &self.streams
    }
    fn next(&mut self, _: Timestamp) -> Result<Next, Error> {
        self.options.hit("next", &mut self.calls);
        Ok(Next::Idle)
    }
    fn stop(&mut self) -> Result<bool, Error> {
        self.options.hit("stop", &mut self.calls);
        Ok(true)
    }
}

impl Transform for Panicking {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        self.options.hit("streams", &mut self.calls);
        Ok(inputs.to_vec())
    }
    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        self.options.hit("process", &mut self.calls);
        out.push(input, batch);
        Ok(())
    }
    fn flush(&mut self, _: Timestamp, _: &mut dyn Outputs) -> Result<(), Error> {
        self.options.hit("flush", &mut self.calls);
        Ok(())
    }
    fn finish(mut self: Box<Self>, _: &mut dyn Outputs) -> Result<Option<String>, Error> {
        self.options.hit("finish", &mut self.calls);
        Ok(Some("all is well".to_owned()))
    }
}

impl Sink for Panicking {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.options.hit("write", &mut self.calls);
        let rows = batch.rows() as u64;
        Ok(Written::refusing(input, rows, 0..=rows - 1, Error::data("nothing is good enough")))
    }
    fn flush(&mut self) -> Result<Written, Error> {
        self.options.hit("flush", &mut self.calls);
        Ok(Written::ALL)
    }
    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.options.hit("finish", &mut self.calls);
        Ok(Written::ALL)
    }
}

impl OpenSource for Panicking {
    type Options = Options;
    fn describe() -> Description {
        Description::source("panicking", "Panics").gives(&[Kind::Attributes])
    }
    fn check(options: &Options) -> Result<(), Error> {
        options.hit("check", &mut 0);
        Ok(())
    }
    fn open(options: Options, context: Context) -> Result<Self, Error> {
        Self::new(options, vec![all_types(false)], context)
    }
}

impl OpenTransform for Panicking {
    type Options = Options;
    fn describe() -> Description {
        Description::transform("panicking", "Panics")
    }
    fn open(options: Options, context: Context) -> Result<Self, Error> {
        Self::new(options, Vec::new(), context)
    }
}

impl OpenSink for Panicking {
    type Options = Options;
    fn describe() -> Description {
        Description::sink("panicking", "Panics")
    }
    fn open(options: Options, _: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        Self::new(options, Vec::new(), context)
    }
}

/// A host that counts.
#[derive(Default)]
struct Counts {
    holders: AtomicI64,
    failed: AtomicU64,
    warnings: AtomicU64,
    pushed: AtomicU64,
    refused: AtomicU64,
}

unsafe extern "C" fn nothing(_: *mut c_void) {}
unsafe extern "C" fn is_paused(_: *mut c_void) -> u32 {
    0
}
unsafe extern "C" fn told(_: *mut c_void, _: *mut abi::Told) -> u32 {
    0
}
unsafe extern "C" fn follow(_: *mut c_void, _: u32, _: *const abi::Follower, _: *mut abi::Error) -> Status {
    abi::ENVIRONMENT
}
unsafe extern "C" fn loss(_: *mut c_void, _: *const u8, _: u64, _: *mut abi::Loss) {}
unsafe extern "C" fn to_arrow(
    _: *mut c_void,
    _: u32,
    _: *const Bytes,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut abi::Error,
) -> Status {
    abi::DATA
}

impl Counts {
    fn of<'a>(context: *mut c_void) -> &'a Self {
        // SAFETY: every context in these tests is a `Counts` that outlives the calls.
        unsafe { &*context.cast::<Self>() }
    }

    fn context(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }

    fn host(&self) -> abi::Host {
        unsafe extern "C" fn retain(context: *mut c_void) {
            Counts::of(context).holders.fetch_add(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn release(context: *mut c_void) {
            Counts::of(context).holders.fetch_sub(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn now(_: *mut c_void) -> i64 {
            0
        }
        unsafe extern "C" fn failed(context: *mut c_void, frames: u64) {
            Counts::of(context).failed.fetch_add(frames, Ordering::Relaxed);
        }
        unsafe extern "C" fn warn(context: *mut c_void, _: *const u8, _: u64) {
            Counts::of(context).warnings.fetch_add(1, Ordering::Relaxed);
        }
        unsafe extern "C" fn artifact(
            _: *mut c_void,
            _: *const u8,
            _: u64,
            _: u32,
            _: u32,
            _: *mut Bytes,
            _: *mut abi::Error,
        ) -> Status {
            abi::IO
        }
        let size = u32::try_from(size_of::<abi::Host>()).unwrap();
        let context = self.context();
        abi::Host {
            size,
            reserved: 0,
            context,
            retain,
            release,
            now,
            failed,
            partial: failed,
            warn,
            mark: warn,
            pause: nothing,
            resume: nothing,
            is_paused,
            told,
            follow,
            artifact,
            loss,
            to_arrow,
            absent: failed,
            left_out: failed,
        }
    }

    fn refusals(&self) -> abi::Refusals {
        unsafe extern "C" fn refuse(
            context: *mut c_void,
            _: u32,
            frames: u64,
            first: u64,
            last: u64,
            status: Status,
            reason: *mut abi::Error,
        ) {
            // SAFETY: the plugin's error, whose texts are handed over.
            let reason = unsafe { hear(status, &mut *reason) }.unwrap_err();
            assert_eq!(reason, Error::data("nothing is good enough"));
            assert_eq!((first, last), (0, frames - 1));
            Counts::of(context).refused.fetch_add(frames, Ordering::Relaxed);
        }
        abi::Refusals { context: self.context(), refuse }
    }

    fn outputs(&self) -> abi::Outputs {
        unsafe extern "C" fn push(context: *mut c_void, _: u32, batch: *const Bytes) {
            Counts::of(context).pushed.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the batch was handed over.
            drop(unsafe { ForeignSlab::new(*batch) });
        }
        abi::Outputs { context: self.context(), push }
    }
}

/// Calls a plugin as a host does, and collects what each call that failed said.
struct Caller {
    plugin: abi::Plugin,
    counts: Counts,
    said: Vec<String>,
    /// What the transform reported at its end.
    report: String,
}

impl Caller {
    fn new(plugin: abi::Plugin) -> Self {
        Self { plugin, counts: Counts::default(), said: Vec::new(), report: String::new() }
    }

    fn call(&mut self, call: impl FnOnce(&abi::Plugin, &Counts, *mut abi::Error) -> Status) -> bool {
        let mut error = abi::Error::EMPTY;
        let status = call(&self.plugin, &self.counts, &raw mut error);
        // SAFETY: the error was filled by `tell`.
        let result = unsafe { hear(status, &mut error) };
        if let Err(error) = &result {
            assert_eq!(error.kind, ErrorKind::Plugin);
            self.said.push(error.message.clone());
        }
        result.is_ok()
    }

    /// Opens, calls everything that the kind has, each twice, finishes and closes.
    fn run(self, panics_in: &str) -> (Vec<String>, Counts) {
        self.run_to(panics_in, true)
    }

    fn run_to(mut self, panics_in: &str, finishes: bool) -> (Vec<String>, Counts) {
        let schema = all_types(false);
        let batch = sample(&schema, 0, 4, 9);
        let options = Text::new(format!("{{\"panics_in\":\"{panics_in}\"}}"));
        let host = crate::testing::FakeHost::new(Path::new("."));
        let context = Text::new(crate::door::ContextText::of(&host.context("p")));
        let schemas = Text::new(crate::door::streams_text(&[schema]));
        let (options, context, schemas) = (options.lend(), context.lend(), schemas.lend());
        let table = self.counts.host();
        let mut instance = std::ptr::null_mut();
        // SAFETY: everything that is passed keeps the contract.
        unsafe {
            self.call(|plugin, _, error| plugin.check.unwrap()(&options, error));
            let opened = self.call(|plugin, _, error| {
                plugin.open.unwrap()(&options, &context, &schemas, &table, &mut instance, error)
            });
            if !opened {
                return (self.said, self.counts);
            }
            for _ in 0..2 {
                self.call(|plugin, _, error| {
                    let mut streams = Bytes::EMPTY;
                    let call = |made: abi::Streams| made(instance, &schemas, &raw mut streams, error);
                    let status = plugin.streams.map_or(abi::OK, call);
                    drop(ForeignSlab::new(streams));
                    status
                });
                self.call(|plugin, counts, error| {
                    let outputs = counts.outputs();
                    let mut state = 0;
                    plugin.next.map_or(abi::OK, |next| next(instance, 0, &outputs, &mut state, error))
                });
                self.call(|plugin, counts, error| {
                    let (shown, outputs) = (lend(&batch), counts.outputs());
                    plugin.process.map_or(abi::OK, |process| process(instance, 0, &shown, &outputs, error))
                });
                self.call(|plugin, _, error| {
                    let mut more = 0;
                    plugin.stop.map_or(abi::OK, |stop| stop(instance, &mut more, error))
                });
                self.call(|plugin, counts, error| {
                    let outputs = counts.outputs();
                    plugin.flush_transform.map_or(abi::OK, |flush| flush(instance, 7, &outputs, error))
                });
                self.call(|plugin, counts, error| {
                    let (shown, refusals) = (lend(&batch), counts.refusals());
                    plugin.write.map_or(abi::OK, |write| write(instance, 0, &shown, &refusals, error))
                });
                self.call(|plugin, counts, error| {
                    let refusals = counts.refusals();
                    plugin.flush_sink.map_or(abi::OK, |flush| flush(instance, &refusals, error))
                });
            }
            if finishes {
                self.finish(instance);
            }
            self.plugin.close.unwrap()(instance);
        }
        assert_eq!(Arc::strong_count(&batch.slab), 1, "a holder of the batch was not given back");
        (self.said, self.counts)
    }

    /// # Safety
    /// An instance of the plugin.
    unsafe fn finish(&mut self, instance: abi::Instance) {
        let mut sentence = Bytes::EMPTY;
        // SAFETY: everything that is passed keeps the contract.
        unsafe {
            self.call(|plugin, counts, error| {
                let (outputs, place) = (counts.outputs(), &raw mut sentence);
                plugin.finish_transform.map_or(abi::OK, |finish| finish(instance, &outputs, place, error))
            });
            self.call(|plugin, counts, error| {
                let refusals = counts.refusals();
                plugin.finish_sink.map_or(abi::OK, |finish| finish(instance, &refusals, error))
            });
            self.report.push_str(&super::received(&sentence, 100));
        }
    }
}

#[test]
fn a_panic_in_any_call_is_an_error_and_the_next_call_works() {
    let source = (abi::Plugin::source::<Panicking> as fn() -> _, vec!["check", "open", "next", "stop"]);
    let calls = vec!["open", "streams", "process", "flush", "finish"];
    let transform = (abi::Plugin::transform::<Panicking> as fn() -> _, calls);
    let sink = (abi::Plugin::sink::<Panicking> as fn() -> _, vec!["open", "write", "flush", "finish"]);
    for (table, calls) in [source, transform, sink] {
        let (said, counts) = Caller::new(table()).run("nowhere");
        assert_eq!((said, counts.holders.into_inner()), (Vec::new(), 0));
        for call in calls {
            let (said, counts) = Caller::new(table()).run(call);
            let [said] = said.as_slice() else { panic!("{said:?}") };
            assert!(said.starts_with(&format!("panicked: in {call}")), "{said}");
            assert_eq!(counts.holders.into_inner(), 0, "the host is still held after a panic in {call}");
        }
    }
}

#[test]
fn the_call_after_a_panic_does_its_work() {
    let (_, counts) = Caller::new(abi::Plugin::transform::<Panicking>()).run("process");
    assert_eq!(counts.pushed.into_inner(), 1);
    let (_, counts) = Caller::new(abi::Plugin::sink::<Panicking>()).run("write");
    assert_eq!(counts.refused.into_inner(), 4);
}

#[test]
fn what_is_finished_gives_its_report_and_is_called_no_more() {
    let host = crate::testing::FakeHost::new(Path::new("."));
    let context = Text::new(crate::door::ContextText::of(&host.context("p")));
    let mut caller = Caller::new(abi::Plugin::transform::<Panicking>());
    let (options, table) = (Text::new("{\"panics_in\":\"\"}"), caller.counts.host());
    let mut instance = std::ptr::null_mut();
    // SAFETY: everything that is passed keeps the contract.
    unsafe {
        assert!(caller.call(|plugin, _, error| plugin.open.unwrap()(
            &options.lend(),
            &context.lend(),
            &Bytes::EMPTY,
            &table,
            &mut instance,
            error
        )));
        caller.finish(instance);
        assert_eq!((caller.report.as_str(), caller.said.len()), ("all is well", 0));
        caller.finish(instance);
        assert_eq!(caller.said, ["the engine called a plugin that it had finished"]);
        caller.plugin.close.unwrap()(instance);
    }
}

#[test]
fn a_panic_where_no_error_can_be_told_is_a_warning() {
    let (said, counts) = Caller::new(abi::Plugin::transform::<Panicking>()).run_to("close", false);
    assert_eq!((said, counts.warnings.into_inner()), (Vec::new(), 1));
}

#[test]
fn an_engine_with_an_older_contract_is_refused() {
    let plugin = abi::Plugin::transform::<Panicking>();
    let counts = Counts::default();
    let host = abi::Host { size: 16, ..counts.host() };
    let (options, context) = (Text::new("{\"panics_in\":\"\"}"), Text::new("{}"));
    let mut error = abi::Error::EMPTY;
    let mut instance = std::ptr::null_mut();
    // SAFETY: everything that is passed keeps the contract.
    let refused = unsafe {
        let status = plugin.open.unwrap()(
            &options.lend(),
            &context.lend(),
            &Bytes::EMPTY,
            &host,
            &mut instance,
            &raw mut error,
        );
        hear(status, &mut error).unwrap_err()
    };
    assert!(refused.message.contains("older version"), "{refused}");
    assert!(instance.is_null());
}
