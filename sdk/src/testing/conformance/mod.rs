//! The conformance suite: whether a plugin keeps the contract, through whatever door it came in. It knows a plugin by its
//! [`Factory`] alone, and says what it found as data, so that a test and a command line can both use it.
//!
//! In a plugin's tests:
//!
//! ```text
//! use tapedeck_sdk::testing::{conformance, samples};
//!
//! #[test]
//! fn the_contract_is_kept() {
//!     conformance::source(&my_source::factory(), &json!({ "device": "/dev/null" })).unwrap();
//!
//!     let inputs = [samples::batches(&samples::schema(Kind::Attributes, "game"), &[3, 1, 60])];
//!     conformance::transform(&my_transform::factory(), &json!({}), &inputs).unwrap();
//!
//!     let case = conformance::SinkCase::new(inputs.to_vec());
//!     conformance::sink(&my_sink::factory(), &json!({}), &case).unwrap();
//! }
//! ```
//!
//! What it can't find: a call that never comes back (it starts no thread to watch over one), files outside the temporary folder,
//! and what a full disk does.

mod cells;
mod descriptor;
#[cfg(test)]
mod faults;
mod moments;
mod read_back;
mod sink;
mod source;
mod transform;

use std::fmt;

pub use cells::Fidelity;
pub use moments::recording;
pub use sink::{SinkCase, sink};
pub use source::source;
pub use transform::transform;

use crate::{Batch, Error, Factory, StreamSchema};

/// A plugin that keeps the contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The plugin's name.
    pub plugin: String,
    /// What was checked, as sentences.
    pub checks: Vec<&'static str>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// What was checked, as a sentence.
    pub check: &'static str,
    /// What was found instead.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.check, self.message)
    }
}

/// What the suite says: everything that was checked, or everything that was found.
pub type Outcome = Result<Report, Vec<Violation>>;

/// Collects what is found. Each check runs whatever the ones before it found.
struct Run {
    report: Report,
    violations: Vec<Violation>,
}

impl Run {
    fn new(factory: &Factory) -> Self {
        let plugin = factory.descriptor().name.clone();
        Self { report: Report { plugin, checks: Vec::new() }, violations: Vec::new() }
    }

    /// Runs a check; a panic is a finding like any other.
    fn check(&mut self, check: &'static str, body: impl FnOnce() -> Result<(), String>) {
        self.report.checks.push(check);
        if let Err(message) = guarded(body) {
            self.violations.push(Violation { check, message });
        }
    }

    fn outcome(self) -> Outcome {
        if self.violations.is_empty() { Ok(self.report) } else { Err(self.violations) }
    }
}

/// Turns a panic into an error.
fn guarded<T>(body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    crate::panics::caught(|| Ok(body())).unwrap_or_else(|error| Err(error.message))
}

/// An error as the suite tells it.
fn told(doing: &str, error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{doing}: {error}{hint}")
}

/// Whether a batch is one of this stream, down to the last byte of its layout.
fn well_formed(batch: &Batch, schema: &std::sync::Arc<StreamSchema>) -> Result<(), String> {
    if batch.schema() != schema {
        return Err(format!(
            "a batch of stream \"{}\" has another schema than it was declared with",
            schema.name()
        ));
    }
    Batch::from_bytes(schema.clone(), batch.as_bytes()).map(drop).map_err(|error| error.to_string())
}
