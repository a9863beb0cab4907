//! Listening to a stream while it is recorded: the newest batches, by reference. Costs one relaxed load where nobody listens; what a
//! listener misses is no loss, and nobody's frames wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, Weak};

use crossbeam_queue::ArrayQueue;
use tapedeck_sdk::{Batch, StreamSchema};

/// The most batches that wait for a listener.
pub const TAP_BATCHES_MAX: usize = 4096;

/// Where a stream can be listened to. The engine has one for each stream; [`Watch::tap`](crate::Watch::tap) is the way to it.
#[derive(Default)]
pub struct TapPoint {
    listeners: AtomicUsize,
    queues: RwLock<Vec<Weak<Queue>>>,
}

struct Queue {
    batches: ArrayQueue<Batch>,
    missed: AtomicUsize,
}

impl TapPoint {
    /// Shows a batch to whoever listens. Never waits: whoever is just coming or going has not heard it.
    #[inline]
    pub fn offer(&self, batch: &Batch) {
        if self.listeners.load(Ordering::Relaxed) > 0 {
            self.tell(batch);
        }
    }

    #[cold]
    fn tell(&self, batch: &Batch) {
        let Ok(queues) = self.queues.try_read() else { return };
        for queue in queues.iter().filter_map(Weak::upgrade) {
            if queue.batches.force_push(batch.clone()).is_some() {
                queue.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Listens from now on: at most `batches_max` of the newest batches wait, and no more than [`TAP_BATCHES_MAX`]. The schema is that of
    /// the batches that are offered.
    #[must_use]
    pub fn listen(self: &Arc<Self>, schema: Arc<StreamSchema>, batches_max: usize) -> Tap {
        let batches = ArrayQueue::new(batches_max.clamp(1, TAP_BATCHES_MAX));
        let queue = Arc::new(Queue { batches, missed: AtomicUsize::new(0) });
        let mut queues = self.queues.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Tap { point: self.clone(), queue, schema }
    }
}

/// Somebody who listens to a stream. Dropping it ends that.
pub struct Tap {
    point: Arc<TapPoint>,
    queue: Arc<Queue>,
    schema: Arc<StreamSchema>,
}

impl Tap {
    /// The stream's schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// The oldest batch that waits, if one does.
    #[must_use]
    pub fn next(&self) -> Option<Batch> {
        self.queue.batches.pop()
    }

    /// The newest batch that waits; those before it are passed over.
    #[must_use]
    pub fn newest(&self) -> Option<Batch> {
        let mut newest = None;
        // Bounded, though a fast stream goes on: no more than there can be.
        for _ in 0..self.queue.batches.capacity() {
            match self.queue.batches.pop() {
                Some(batch) => newest = Some(batch),
                None => break,
            }
        }
        newest
    }

    /// How many batches had to give way to newer ones.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.queue.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.point.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::testing::samples;
    use tapedeck_sdk::{BatchPool, Kind, Timestamp};

    #[test]
    fn listeners_get_the_newest_batches_each_at_its_own_pace_and_missing_some_disturbs_nobody() {
        let schema = samples::schema(Kind::Attributes, "game");
        let mut pool = BatchPool::new(schema.clone());
        let mut batch = |seq: u64| {
            let mut builder = pool.builder(1);
            builder.push_row(Timestamp(0));
            builder.seq_mut()[0] = seq;
            builder.finish()
        };
        let point = Arc::new(TapPoint::default());
        point.offer(&batch(0));
        let (slow, fast) = (point.listen(schema.clone(), 2), point.listen(schema, 100));
        (1..=5).for_each(|seq| point.offer(&batch(seq)));
        let seqs =
            |tap: &Tap| std::iter::from_fn(|| tap.next()).map(|batch| batch.seq()[0]).collect::<Vec<_>>();
        assert_eq!((seqs(&slow), slow.missed()), (vec![4, 5], 3));
        drop(slow);
        point.offer(&batch(6));
        assert_eq!(fast.newest().unwrap().seq(), [6]);
        assert!(fast.newest().is_none() && fast.missed() == 0);
        drop(fast);
        assert_eq!(point.listeners.load(Ordering::Relaxed), 0);
    }
}
