//! Formats and recordings as the engine calls them: a reader that panics gives an error, and its recording ends there. The only place
//! that opens or repairs a file through a format.

use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::panics::{caught, dropped};
use tapedeck_sdk::{Batch, Error, Extent, Format, Recording, Repair, StreamSchema, Timestamp, Wanted};

use crate::stats::guarded;

/// Opens a recording.
pub(crate) fn open(format: &dyn Format, path: &Path) -> Result<Box<dyn Recording>, Error> {
    let name = format.name();
    let open = || {
        let recording = format.open(path)?;
        Ok(Reading { name, streams: recording.streams().to_vec(), recording: Some(recording) })
    };
    Ok(Box::new(guarded(name, "open", open)?))
}

/// Makes a file whole that its writer could not finish.
pub(crate) fn repair(format: &dyn Format, path: &Path) -> Result<Repair, Error> {
    guarded(format.name(), "repair", || format.repair(path))
}

/// Whether a file or folder is of a format, by its content.
pub(crate) fn matches(format: &dyn Format, head: &[u8], path: &Path) -> bool {
    caught(|| Ok(format.matches(head, path))).unwrap_or(false)
}

/// An open recording.
struct Reading {
    /// The format's name.
    name: &'static str,
    streams: Vec<Arc<StreamSchema>>,
    /// `None` once it has panicked: what it would do now nobody knows.
    recording: Option<Box<dyn Recording>>,
}

impl Reading {
    fn call<T>(
        &mut self,
        doing: &str,
        call: impl FnOnce(&mut dyn Recording) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(recording) = &mut self.recording else {
            return Err(Error::plugin(format!("the reader of {} has panicked before", self.name)));
        };
        let mut returned = false;
        let outcome = guarded(self.name, doing, || {
            let outcome = call(recording.as_mut());
            returned = true;
            outcome
        });
        if !returned {
            self.close();
        }
        outcome
    }

    fn close(&mut self) {
        // A panic here comes on top of what was told, or after everything was read.
        drop(dropped(self.recording.take()));
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.close();
    }
}

impl Recording for Reading {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        let recording = self.recording.as_ref()?;
        caught(|| Ok(recording.extent(stream))).ok().flatten()
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        self.streams = self.call("select", |recording| {
            recording.select(wanted)?;
            Ok(recording.streams().to_vec())
        })?;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        self.call("seek", |recording| recording.seek(to))
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        self.call("read", |recording| recording.next())
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        self.call("closest", |recording| recording.closest(stream, to))
    }
}

#[cfg(test)]
mod tests {
    use tapedeck_sdk::Kind;

    use super::*;

    /// A reader that panics where it is told to.
    struct Faulty(&'static str);

    impl Faulty {
        fn reach(&self, call: &str) {
            assert!(self.0 != call, "in {call}");
        }
    }

    impl Format for Faulty {
        fn name(&self) -> &'static str {
            "faulty"
        }
        fn extensions(&self) -> &'static [&'static str] {
            &["faulty"]
        }
        fn matches(&self, _head: &[u8], _path: &Path) -> bool {
            self.reach("matches");
            true
        }
        fn open(&self, _path: &Path) -> Result<Box<dyn Recording>, Error> {
            self.reach("open");
            let schema = StreamSchema::builder("rows", Kind::Attributes).build()?;
            Ok(Box::new(FaultyRecording { call: self.0, streams: vec![schema] }))
        }
        fn repair(&self, _path: &Path) -> Result<Repair, Error> {
            self.reach("repair");
            Ok(Repair::Intact)
        }
    }

    struct FaultyRecording {
        call: &'static str,
        streams: Vec<Arc<StreamSchema>>,
    }

    impl FaultyRecording {
        fn reach(&self, call: &str) {
            assert!(self.call != call, "in {call}");
        }
    }

    impl Drop for FaultyRecording {
        fn drop(&mut self) {
            self.reach("drop");
        }
    }

    impl Recording for FaultyRecording {
        fn streams(&self) -> &[Arc<StreamSchema>] {
            self.reach("streams");
            &self.streams
        }
        fn extent(&self, _stream: usize) -> Option<Extent> {
            self.reach("extent");
            None
        }
        fn select(&mut self, _wanted: &[Wanted]) -> Result<(), Error> {
            self.reach("select");
            Ok(())
        }
        fn seek(&mut self, _to: Timestamp) -> Result<(), Error> {
            self.reach("seek");
            Ok(())
        }
        fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
            self.reach("read");
            Ok(None)
        }
        fn closest(&mut self, _stream: usize, _to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
            self.reach("closest");
            Ok(None)
        }
    }

    /// Calls everything; says what the calls said that failed.
    fn read_all(call: &'static str) -> Vec<String> {
        let (format, path) = (Faulty(call), Path::new("x"));
        let mut said: Vec<Error> = repair(&format, path).err().into_iter().collect();
        match open(&format, path) {
            Ok(mut recording) => {
                assert!(recording.extent(0).is_none());
                said.extend(recording.select(&[Wanted::All]).err());
                said.extend(recording.seek(Timestamp(0)).err());
                said.extend(recording.closest(0, Timestamp(0)).err());
                said.extend(recording.next().err());
            }
            Err(error) => said.push(error),
        }
        said.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn a_reader_that_panics_gives_an_error_and_is_not_called_again() {
        assert!(
            !matches(&Faulty("matches"), &[], Path::new("x")) && matches(&Faulty(""), &[], Path::new("x"))
        );
        for (call, said) in
            [("repair", 1), ("open", 1), ("streams", 1), ("select", 4), ("seek", 3), ("read", 1)]
        {
            let found = read_all(call);
            assert_eq!(found.len(), said, "{call}: {found:?}");
            assert!(found[0].contains(&format!("panicked in {}: in {call}", place(call))), "{found:?}");
            assert!(found[1..].iter().all(|later| later.contains("has panicked before")), "{found:?}");
        }
        for call in ["", "extent", "drop"] {
            assert_eq!(read_all(call), Vec::<String>::new(), "{call}");
        }
    }

    /// The call of ours in which a call of the reader's stands.
    fn place(call: &str) -> &str {
        if call == "streams" { "open" } else { call }
    }
}
