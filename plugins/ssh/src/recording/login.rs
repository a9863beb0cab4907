//! The trace of a login that runs nothing: a recording of facts only. Does not know SSH.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tapedeck_sdk::kinds::terminal::Code;
use tokio::sync::mpsc;

use crate::recording::recorder::{Recorder, Stopped};
use crate::server::state::ConnectionState;

/// How long after a login without a session its trace is recorded; the end of the connection comes
/// first for most.
const TRACE_TIME: Duration = Duration::from_secs(2);

/// A login to be traced.
pub(crate) struct Login {
    pub(crate) recorder: Recorder,
    /// The connection's.
    pub(crate) state: Arc<ConnectionState>,
    /// The identity, as facts.
    pub(crate) facts: Map<String, Value>,
    /// Held while the trace is not complete.
    pub(crate) running: mpsc::Sender<()>,
}

impl Login {
    /// Records the login, unless a session is recorded within [`TRACE_TIME`].
    pub(crate) async fn trace(self) {
        let closed = tokio::time::timeout(TRACE_TIME, self.state.closed()).await;
        if self.state.has_session() {
            return;
        }
        // The engine may take no more frames: then nothing is recorded of anybody.
        drop(self.record(closed.is_ok()).await);
        drop(self.running);
    }

    async fn record(&self, closed: bool) -> Result<(), Stopped> {
        let mut facts = self.facts.clone();
        facts.insert("login_only".to_owned(), json!(true));
        self.recorder.put(Code::Facts, Value::Object(facts).to_string()).await?;
        if !closed {
            self.state.closed().await;
        }
        let refused = self.state.refused();
        let last = json!({
            "login_only": !self.state.has_session(),
            "refused": refused,
            "ended_by": self.state.end_reason().unwrap_or("the client has gone"),
        });
        self.recorder.put(Code::Facts, last.to_string()).await?;
        self.recorder.put(Code::Exit, String::new()).await.map(drop)
    }
}
