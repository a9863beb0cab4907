//! Tests of the plan against our own memory: the kernel does not mind whose it reads.

use super::*;

/// Pages of our own, some of which are given back.
struct Pages(*mut u8, usize);

#[expect(unsafe_code, reason = "memory that can't be read has to come from somewhere")]
impl Pages {
    fn new(count: usize, dead: &[usize]) -> Self {
        let length = count * PAGE_BYTES;
        // SAFETY: a fresh private mapping, which is given back once.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(base, libc::MAP_FAILED);
        let pages = Self(base.cast(), length);
        // SAFETY: the mapping is as long and can be written; nobody else has it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(pages.0, length) };
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = expected(index);
        }
        for page in dead {
            // SAFETY: the page is part of the mapping. It stays ours but can't be read.
            let result =
                unsafe { libc::mprotect(pages.0.add(page * PAGE_BYTES).cast(), PAGE_BYTES, libc::PROT_NONE) };
            assert_eq!(result, 0);
        }
        pages
    }

    fn base(&self) -> usize {
        self.0 as usize
    }
}

impl Drop for Pages {
    #[expect(unsafe_code, reason = "gives back what `new` took")]
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, as long as it was made.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

fn expected(index: usize) -> u8 {
    u8::try_from((index * 7 + index / 256) % 251).unwrap()
}

fn pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

/// Reads items given as (place in the pages, length) and checks every one, dead pages being unreadable.
fn check(count: usize, dead: &[usize], items: &[(usize, usize)]) -> Plan {
    let pages = Pages::new(count, dead);
    let mut plan = Plan::new(items.iter().map(|item| item.1).collect());
    plan.lay(|item| Some(pages.base() + items[item].0));
    for _ in 0..2 {
        plan.read(pid()).unwrap();
        for (item, &(at, length)) in items.iter().enumerate() {
            let readable =
                (at / PAGE_BYTES..=(at + length - 1) / PAGE_BYTES).all(|page| !dead.contains(&page));
            let bytes: Option<Vec<u8>> = readable.then(|| (at..at + length).map(expected).collect());
            assert_eq!(
                plan.bytes(item).map(<[u8]>::to_vec),
                bytes,
                "item {item} at {at}, {length} bytes, dead {dead:?}"
            );
        }
    }
    plan
}

mod random {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_can_be_read_is_read_whatever_is_beside_it(
            dead in prop::collection::btree_set(0_usize..12, 0..6),
            items in prop::collection::vec((0_usize..12 * 4096 - 9000, prop_oneof![1_usize..20, 1000_usize..9000]), 1..60),
        ) {
            super::check(12, &dead.into_iter().collect::<Vec<_>>(), &items);
        }
    }
}

#[test]
fn neighbours_share_a_span_and_far_ones_do_not() {
    let plan = check(4, &[], &[(6000, 8), (100, 4), (104, 4), (100, 1), (1100, 8), (3157, 8)]);
    assert_eq!(plan.spans.iter().map(|span| span.length).collect::<Vec<_>>(), [1008, 8, 8]);
    assert!(plan.whole());
}

#[test]
fn more_spans_than_one_call_takes_are_read() {
    let items: Vec<(usize, usize)> = (0..3000).map(|index| (index * 2064, 8)).collect();
    assert_eq!(check(1512, &[0, 511, 700, 1023, 1024, 1499], &items).spans.len(), 3000);
}

#[test]
fn nothing_to_read_is_nothing_read() {
    let mut plan = Plan::new(vec![8, 8]);
    plan.lay(|_| None);
    plan.read(pid()).unwrap();
    assert_eq!((plan.bytes(0), plan.bytes(1)), (None, None));
}

#[test]
fn addresses_that_no_process_has_are_dead_and_harm_no_other() {
    let pages = Pages::new(1, &[]);
    let addresses = [
        pages.base(),
        8,
        usize::MAX - 3,
        usize::MAX,
        0xdead_beef_dead_beef,
        0x7fff_ffff_f000,
        pages.base() + 64,
    ];
    let mut plan = Plan::new(vec![8; addresses.len()]);
    plan.lay(|item| Some(addresses[item]));
    plan.read(pid()).unwrap();
    let alive: Vec<bool> = (0..addresses.len()).map(|item| plan.bytes(item).is_some()).collect();
    assert_eq!(alive, [true, false, false, false, false, false, true]);
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    child.wait().unwrap();
    let mut plan = Plan::new(vec![8]);
    plan.lay(|_| Some(4096));
    assert_eq!(plan.read(pid).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}
