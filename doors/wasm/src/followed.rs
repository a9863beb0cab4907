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
    /// Whether the instance at hand follows the output.
    is_followed: bool,
}

/// The outputs that are followed.
#[derive(Default)]
pub(crate) struct Followed(Mutex<BTreeMap<u32, Arc<Mutex<Newest>>>>);

impl Followed {
    /// Follows an output. An instance that was made anew follows where the one before it did.
    pub(crate) fn follow(&self, output: u32, host: &dyn Host) -> Result<(), Error> {
        let mut followed = locked(&self.0);
        if let Some(newest) = followed.get(&output) {
            let mut newest = locked(newest);
            if newest.is_followed {
                return Err(Error::plugin(format!("output {output} is followed already")));
            }
            (newest.is_new, newest.is_followed) = (true, true);
            return Ok(());
        }
        let newest = Arc::new(Mutex::new(Newest { is_followed: true, ..Newest::default() }));
        let kept = newest.clone();
        host.follow(
            output as usize,
            Box::new(move |mark| {
                let mut newest = locked(&kept);
                (newest.mark, newest.is_new) = (mark, true);
            }),
        )?;
        followed.insert(output, newest);
        Ok(())
    }

    /// The instance at hand is a fresh one: it follows nothing yet.
    pub(crate) fn begin_anew(&self) {
        locked(&self.0).values().for_each(|newest| locked(newest).is_followed = false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::testing::FakeHost;

    #[test]
    fn an_output_is_followed_once_by_each_instance() {
        let (followed, host) = (Followed::default(), FakeHost::new(std::path::Path::new(".")));
        followed.follow(0, host.as_ref()).unwrap();
        assert!(followed.follow(0, host.as_ref()).unwrap_err().message.contains("followed already"));
        assert_eq!(followed.reached(0), Some(Watermark::default()));
        let mark = Watermark { written: 7, flushed: 5, lost: 0 };
        host.reach(0, mark);
        assert_eq!((followed.reached(0), followed.reached(0)), (Some(mark), None));
        followed.begin_anew();
        followed.follow(0, host.as_ref()).unwrap();
        assert_eq!(followed.reached(0), Some(mark), "a fresh instance is told where the recording is");
        assert!(followed.follow(0, host.as_ref()).is_err());
    }
}
