//! In the steady state a row costs one allocation: the batch's reference count. Alone in its program, because it counts for all threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Opener, testing::FakeHost};

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_row_of_a_thousand_attributes_costs_one_allocation() {
    let words: Vec<u64> = (0..64_000).collect();
    let text = *b"name\0\xFF\xFF\xFF";
    let pointer = Box::new(words.as_ptr() as usize);
    let start = std::ptr::from_ref(&*pointer) as usize;
    let mut attributes: Map<String, Value> = (0..998)
        .map(|index| {
            let way = if index % 2 == 0 {
                json!({ "address": start, "offsets": [index * 512], "type": "u64" })
            } else {
                json!({ "address": *pointer + index * 512, "type": "bool" })
            };
            (format!("a{index}"), way)
        })
        .collect();
    attributes.insert(
        "text".to_owned(),
        json!({ "address": text.as_ptr() as usize, "type": "string", "length": 8 }),
    );
    attributes.insert(
        "mended".to_owned(),
        json!({ "address": text.as_ptr() as usize + 5, "type": "string", "length": 3 }),
    );
    let host = FakeHost::new(Path::new("/nowhere"));
    let factory = tapedeck_memory::factory();
    let Opener::Source(open) = factory.opener() else { panic!("memory is a source") };
    let mut source =
        open(&json!({ "pid": std::process::id(), "attributes": attributes }), host.context("game")).unwrap();
    let mut read = || match source.next(Timestamp(0)).unwrap() {
        Next::Batch { batch, .. } => assert_eq!(batch.column(2).values::<u64>()[0], words[128]),
        other => panic!("{other:?}"),
    };
    (0..10).for_each(|_| read());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..100).for_each(|_| read());
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(count <= 100, "{count} allocations in 100 rows");
    assert_eq!(host.partial_frames(), 0);
}
