//! What one tick's read costs, beside the bare system calls it needs. Reads its own memory: the kernel takes the same way.
//!
//!     cargo bench -p tapedeck-memory
//!
//! `tick` is the whole call of the source: the reading, the timestamp, and the finished batch. `bare` is `process_vm_readv` with
//! one span a variable. Both are taken by turns in the same run, after a warm-up; each figure is a median.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Opener, testing::FakeHost};

const VARIABLES: usize = 1000;
const ROUNDS: usize = 2000;
const ROUNDS_WARM: usize = 200;

/// 1,000 variables, `stride` bytes apart.
struct Case {
    name: &'static str,
    stride: usize,
    /// Whether they are found through three pointers.
    pointers: bool,
}

const CASES: &[Case] = &[
    Case { name: "one on each page", stride: 4160, pointers: false },
    Case { name: "one on each page, three pointers", stride: 4160, pointers: true },
    Case { name: "two on each page", stride: 2048, pointers: false },
    Case { name: "four on each page", stride: 1024, pointers: false },
    Case { name: "one on each cache line", stride: 64, pointers: false },
];

#[expect(unsafe_code, reason = "the bare call that everything is compared with")]
fn bare(spans: &[libc::iovec], places: &[libc::iovec], pid: i32) {
    // SAFETY: the places lie in one live buffer that nobody else uses; the spans are in the memory of this process and are only read.
    let read = unsafe {
        libc::process_vm_readv(
            pid,
            places.as_ptr(),
            places.len() as u64,
            spans.as_ptr(),
            spans.len() as u64,
            0,
        )
    };
    assert_eq!(read, isize::try_from(VARIABLES * 8).expect("small"));
}

fn open(case: &Case, base: usize, root: usize) -> Box<dyn Source> {
    let variable = |index: usize| {
        let way = if case.pointers {
            json!({ "address": root, "offsets": [0, 0, index * case.stride], "type": "u64" })
        } else {
            json!({ "address": base + index * case.stride, "type": "u64" })
        };
        (format!("v{index}"), way)
    };
    let attributes: Map<String, Value> = (0..VARIABLES).map(variable).collect();
    let factory = tapedeck_memory::factory();
    let Opener::Source(open) = factory.opener() else { unreachable!("memory is a source") };
    let context = FakeHost::new(Path::new("/nowhere")).context("bench");
    open(&json!({ "pid": std::process::id(), "attributes": attributes }), context)
        .expect("we may read ourselves")
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn microseconds(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e6
}

fn measure(case: &Case) {
    let words: Vec<u64> = (0..VARIABLES as u64 * case.stride as u64 / 8 + 8).collect();
    let base = words.as_ptr() as usize;
    let second = Box::new(base);
    let first = Box::new(std::ptr::from_ref(&*second) as usize);
    let root = Box::new(std::ptr::from_ref(&*first) as usize);
    let mut source = open(case, base, std::ptr::from_ref(&*root) as usize);
    let mut slab = vec![0_u64; VARIABLES];
    let spans: Vec<_> = (0..VARIABLES)
        .map(|index| libc::iovec { iov_base: (base + index * case.stride) as *mut libc::c_void, iov_len: 8 })
        .collect();
    let places: Vec<_> = slab
        .iter_mut()
        .map(|word| libc::iovec { iov_base: std::ptr::from_mut(word).cast(), iov_len: 8 })
        .collect();
    let pid = i32::try_from(std::process::id()).expect("pids are small");
    let (mut ticks, mut bares) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS_WARM + ROUNDS {
        let tick = microseconds(|| drop(source.next(Timestamp(0)).expect("we are alive")));
        let bare = microseconds(|| bare(&spans, &places, pid));
        if round >= ROUNDS_WARM {
            ticks.push(tick);
            bares.push(bare);
        }
    }
    std::hint::black_box((&words, &slab, &first, &second, &root));
    let (tick, bare) = (median(&mut ticks), median(&mut bares));
    println!(
        "{:34} tick {tick:7.1} µs   bare {bare:7.1} µs   ratio {:.2}   at 60 Hz {:.2} % of a core",
        case.name,
        tick / bare,
        tick * 60.0 / 1e4
    );
}

fn main() {
    println!("{VARIABLES} variables of 8 bytes, median of {ROUNDS}");
    CASES.iter().for_each(measure);
}
