//! What the fuzz targets of readers and of sessions share. Names no format: a target hands in its own.
//!
//! Seeds are made by the program itself: where `TAPEDECK_FUZZ_SEEDS` names a folder, a target first writes its own there.

mod reader;
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use reader::{Moments, reader, reader_seeds};
pub use session::{Killed, REGISTRY, look_at_session, replay_session};
use tapedeck_sdk::{Batch, BatchPool, Format};

/// More frames than this are not read of one file: a few bytes can say a billion times the same.
const ROWS_MAX: usize = 1 << 16;
/// The most that a batch may take, whatever a file says of itself.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Where seeds are written, if they are wanted.
fn seeds_folder() -> Option<PathBuf> {
    std::env::var_os("TAPEDECK_FUZZ_SEEDS").map(PathBuf::from)
}

/// Lets a panic that somebody catches go by: the fuzzer's own hook ends the process at each. One that nobody catches still does.
pub fn allow_caught_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// What a file holds.
#[derive(Default)]
pub struct Content {
    /// The frames of each stream, up to a limit.
    pub streams: Vec<Vec<Batch>>,
    /// Whether it was read to its end without an error.
    pub whole: bool,
}

impl Content {
    /// Reads a file as far as it goes.
    #[must_use]
    pub fn of(format: &dyn Format, path: &Path) -> Self {
        let Ok(mut recording) = format.open(path) else { return Self::default() };
        let mut content = Self { streams: vec![Vec::new(); recording.streams().len()], whole: false };
        let mut rows = 0;
        while rows < ROWS_MAX {
            match recording.next() {
                Ok(Some((stream, batch))) => {
                    assert!(batch.rows() > 0, "a batch without frames");
                    assert!(batch.byte_len() <= BATCH_BYTES_MAX, "a batch of {} bytes", batch.byte_len());
                    rows += batch.rows();
                    content.streams[stream].push(batch);
                }
                Ok(None) => {
                    content.whole = true;
                    break;
                }
                Err(_) => break,
            }
        }
        content
    }

    /// Fails if `after` does not begin with everything that is here.
    pub fn must_be_kept_in(&self, after: &Self) {
        for (stream, batches) in self.streams.iter().enumerate() {
            let Some(before) = tapedeck_sdk::testing::joined(batches) else { continue };
            let after = after.streams.get(stream).and_then(|batches| tapedeck_sdk::testing::joined(batches));
            let after = after.expect("a stream that could be read is still there");
            let rows = before.rows().min(ROWS_MAX);
            assert!(after.rows() >= rows, "{} of {rows} frames are left", after.rows());
            let (before, after) = (first(&before, rows), first(&after, rows));
            // What a text's columns are may be another guess once there is less of it, or more.
            if before.schema() == after.schema() {
                assert_eq!(before, after, "the frames are others");
            } else {
                assert_eq!((before.seq(), before.timestamps()), (after.seq(), after.timestamps()));
            }
        }
    }
}

fn first(batch: &Batch, rows: usize) -> Batch {
    let mut pool = BatchPool::new(Arc::clone(batch.schema()));
    let mut builder = pool.builder(rows);
    builder.append(batch, 0..rows);
    builder.finish()
}
