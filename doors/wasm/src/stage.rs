//! What the three kinds of stage share: what an instance is made of, and how often it may be made anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tapedeck_sdk::door::ContextText;
use tapedeck_sdk::{Context, Error, ErrorKind, Timestamp};

use crate::loading::Plugin;
use crate::sandbox::Sandbox;

/// So many failures in a row end the stage.
const IN_A_ROW_MAX: u32 = 5;
/// So many failures within [`WINDOW`] end the stage.
const IN_WINDOW_MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// How long to wait before the second instance in a row; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(10);

/// Everything that an instance is made of.
pub(crate) struct Recipe {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) sandbox: Sandbox,
    /// The plugin's own options, as JSON.
    pub(crate) options: String,
    pub(crate) context: Context,
    /// The context, as JSON.
    pub(crate) context_text: String,
}

impl Recipe {
    pub(crate) fn new(plugin: Arc<Plugin>, options: &Value, context: Context) -> Result<Self, Error> {
        let (sandbox, own) = Sandbox::part(options)?;
        // The component sees the session's folder under another name, and nothing else of it.
        let mut shown = context.clone();
        shown.session.folder = crate::scratch::SEEN_AS.into();
        let context_text = ContextText::of(&shown);
        Ok(Self { plugin, sandbox, options: own.to_string(), context, context_text })
    }

    /// How long a call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.sandbox.call_timeout.0
    }
}

/// The number of an input as it crosses the door.
pub(crate) fn index(input: usize) -> Result<u32, Error> {
    u32::try_from(input).map_err(|error| Error::plugin(format!("there is no input {input}: {error}")))
}

/// The failures of a stage.
#[derive(Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    recent: VecDeque<Timestamp>,
}

impl Failures {
    /// A call went well.
    pub(crate) fn well(&mut self) {
        self.in_a_row = 0;
    }

    /// An instance broke. Returns the error for the engine: of kind `Plugin` if that was one too many.
    pub(crate) fn broke(&mut self, error: Error, now: Timestamp) -> Error {
        self.in_a_row += 1;
        while self.recent.front().is_some_and(|&time| now.since(time) > WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if self.in_a_row < IN_A_ROW_MAX && self.recent.len() < IN_WINDOW_MAX {
            return Error { kind: ErrorKind::Data, ..error };
        }
        let often = if self.in_a_row >= IN_A_ROW_MAX {
            format!("{} times in a row", self.in_a_row)
        } else {
            format!("{} times within {WINDOW:?}", self.recent.len())
        };
        Error {
            kind: ErrorKind::Plugin,
            message: format!("{}; given up after failing {often}", error.message),
            ..error
        }
    }

    /// Waits before the next instance is made: not at all after a first failure, longer each time after the next ones.
    pub(crate) fn back_off(&self) {
        if let Some(doublings) = self.in_a_row.checked_sub(2) {
            std::thread::sleep(BACK_OFF * 2_u32.pow(doublings.min(6)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_or_twenty_in_a_minute_end_a_stage() {
        let error = || Error::plugin("it trapped");
        let mut failures = Failures::default();
        for second in 0..4 {
            assert_eq!(failures.broke(error(), Timestamp(second)).kind, ErrorKind::Data);
        }
        assert_eq!(failures.broke(error(), Timestamp(4)).kind, ErrorKind::Plugin);

        let seldom = |every: i64| {
            let mut failures = Failures::default();
            (0..100).find(|&count| {
                failures.well();
                failures.broke(error(), Timestamp(count * every)).kind == ErrorKind::Plugin
            })
        };
        assert_eq!(seldom(1_000_000_000), Some(19));
        assert_eq!(seldom(4_000_000_000), None);
    }
}
