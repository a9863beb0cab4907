//! A credential file: read at each use, parsed when its text has changed, with a warning for each line
//! that is skipped. Does not know what the lines say.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tapedeck_sdk::{Error, Host};

use crate::auth::files::{Fault, Parsed};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The most skipped lines that are warned of one by one.
const FAULTS_TOLD_MAX: usize = 8;

/// A file's text and its entries.
type Cached<T> = Option<(String, Arc<Vec<T>>)>;

/// A file of credentials.
pub(crate) struct CredentialFile<T> {
    what: &'static str,
    path: PathBuf,
    parse: fn(&str) -> Result<Parsed<T>, Fault>,
    host: Arc<dyn Host>,
    cached: Mutex<Cached<T>>,
}

impl<T> CredentialFile<T> {
    /// Reads the file for the first time: it must have a usable line, or none at all.
    pub(crate) fn open(
        what: &'static str,
        path: &Path,
        parse: fn(&str) -> Result<Parsed<T>, Fault>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        let file = Self { what, path: path.to_owned(), parse, host, cached: Mutex::default() };
        let text = file.text()?;
        let parsed = parse(&text).map_err(|fault| file.error(&fault))?;
        match parsed.faults.first() {
            Some(fault) if parsed.entries.is_empty() => Err(file.error(fault)),
            _ => {
                file.keep(text, parsed);
                Ok(file)
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The entries of the file as it is now.
    pub(crate) fn entries(&self) -> Result<Arc<Vec<T>>, Error> {
        let text = self.text()?;
        if let Some((_, entries)) = self.lock().as_ref().filter(|(cached, _)| *cached == text) {
            return Ok(entries.clone());
        }
        let parsed = (self.parse)(&text).map_err(|fault| self.error(&fault))?;
        Ok(self.keep(text, parsed))
    }

    /// Warns of the skipped lines, and keeps the others.
    fn keep(&self, text: String, parsed: Parsed<T>) -> Arc<Vec<T>> {
        for fault in parsed.faults.iter().take(FAULTS_TOLD_MAX) {
            let message = self.error(fault).message;
            self.host.warn(&format!("{message}; the line is skipped ({})", fault.hint));
        }
        if let Some(more) = parsed.faults.len().checked_sub(FAULTS_TOLD_MAX).filter(|&more| more > 0) {
            self.host.warn(&format!("{more} more lines are skipped: {}", self.path.display()));
        }
        let entries = Arc::new(parsed.entries);
        *self.lock() = Some((text, entries.clone()));
        entries
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cached<T>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, fault: &Fault) -> Error {
        let message = format!("line {} {}: {}", fault.line, fault.what, self.path.display());
        Error::environment(message).with_hint(fault.hint)
    }

    /// The file's text, if only its owner can write it.
    fn text(&self) -> Result<String, Error> {
        let failed = |error: io::Error| Error::io(&format!("read {}", self.what), &self.path, &error);
        let file = File::open(&self.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let owners = [0, rustix::process::geteuid().as_raw()];
        let refused = |fault: &str, hint: &str| {
            let message = format!("{fault} the file of {}: {}", self.what, self.path.display());
            Err(Error::environment(message).with_hint(hint))
        };
        // As OpenSSH's `StrictModes`: whoever can write the file decides who logs in.
        if metadata.mode() & 0o022 != 0 {
            return refused("others can write", "take it from them with `chmod go-w`");
        }
        if !owners.contains(&metadata.uid()) {
            return refused("somebody else owns", "give it to Tapedeck's user, or to root, with `chown`");
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return refused("more than 16 MiB are in", "keep users in several files and gateways");
        }
        // A line with U+FFFD in it is skipped by the parsers.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
