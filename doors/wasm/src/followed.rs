//! The outputs of a source that is a component, as far as it follows how far their recording is. The component has no thread on which it
//! could be told: the newest watermark waits here until it asks. Outlives an instance that broke.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapedeck_sdk::{Error, Host, Watermark};

/// The newest watermark of one output.
#[derive(Default)]
struct Newest {
    mark: Watermark,
    /// Whether the component has not seen it.
    is_new: bool,
}

/// The outputs that are followed.
#[derive(Default)]
pub(crate) struct Followed(Mutex<BTreeMap<u32, Arc<Mutex<Newest>>>>);

impl Followed {
    /// Follows an output. An instance that was made anew follows where the one before it did.
    pub(crate) fn follow(&self, output: u32, host: &dyn Host) -> Result<(), Error> {
        let mut followed = locked(&self.0);
        if let Some(newest) = followed.get(&output) {
            locked(newest).is_new = true;
            return Ok(());
        }
        let newest = Arc::new(Mutex::new(Newest::default()));
        let kept = newest.clone();
        host.follow(output as usize, Box::new(move |mark| *locked(&kept) = Newest { mark, is_new: true }))?;
        followed.insert(output, newest);
        Ok(())
    }

    /// The watermark, if it has moved since this was asked last.
    pub(crate) fn reached(&self, output: u32) -> Option<Watermark> {
        let newest = locked(&self.0).get(&output)?.clone();
        let mut newest = locked(&newest);
        std::mem::take(&mut newest.is_new).then_some(newest.mark)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
