//! A source that uses everything that a host offers to one: it is told what to give, sets marks, pauses, follows its recording, and winds
//! up when the session ends. The same through each door is a test.

use std::sync::{Mutex, PoisonError};

use tapedeck_sdk::Watermark;
use tapedeck_sdk::prelude::*;

/// Options of the `talk` source.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TalkOptions {
    /// Whether the source follows its recording.
    #[serde(default)]
    follow: bool,
}

/// A source that gives what it is told.
pub(crate) struct Talk {
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    host: Arc<dyn Host>,
    /// Whether the recording is still to be followed.
    follow: bool,
    /// How far it is.
    mark: Arc<Mutex<Watermark>>,
    stopping: bool,
    ended: bool,
}

impl Talk {
    /// A frame with a value, or without one, and how far the recording was.
    fn frame(&mut self, value: Option<f64>) -> Next {
        let mark = *self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = self.pool.builder(1);
        let mut row = batch.push_row(Timestamp::UNSET);
        row.set(1, mark.flushed).set(2, mark.lost);
        match value {
            Some(value) => _ = row.set(0, value),
            None => {
                row.set_null(0);
                self.host.partial(1);
            }
        }
        Next::Batch { output: 0, batch: batch.finish() }
    }

    fn follow(&mut self) -> Result<(), Error> {
        let mark = self.mark.clone();
        let moved = move |now| *mark.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.host.follow(0, Box::new(moved))
    }
}

impl Source for Talk {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, _deadline: Timestamp) -> Result<Next, Error> {
        if std::mem::take(&mut self.follow) {
            self.follow()?;
        }
        if let Some(told) = self.host.told() {
            match told.name.as_str() {
                "give" => return Ok(self.frame(told.value.as_f64())),
                "mark" => self.host.mark(told.value.as_str().unwrap_or_default()),
                "pause" => self.host.pause(),
                "resume" => self.host.resume(),
                other => self.host.warn(&format!("told to {other}, paused: {}", self.host.is_paused())),
            }
            return Ok(Next::Idle);
        }
        if self.stopping {
            let ended = std::mem::replace(&mut self.ended, true);
            return Ok(if ended { Next::End } else { self.frame(Some(-1.0)) });
        }
        Ok(Next::Idle)
    }

    fn stop(&mut self) -> Result<bool, Error> {
        self.stopping = true;
        Ok(true)
    }
}

impl OpenSource for Talk {
    type Options = TalkOptions;

    fn describe() -> Description {
        Description::source("talk", "Gives what it is told").gives(&[Kind::Attributes]).runs_in_pause()
    }

    fn open(options: TalkOptions, context: Context) -> Result<Self, Error> {
        let schema = StreamSchema::builder(&context.id, Kind::Attributes)
            .nullable("value", DataType::Float64)
            .field("flushed", DataType::UInt64)
            .field("lost", DataType::UInt64)
            .build()?;
        let pool = BatchPool::new(schema.clone());
        let (host, follow) = (context.host, options.follow);
        let (stopping, ended) = (false, false);
        Ok(Self { streams: vec![schema], pool, host, follow, mark: Arc::default(), stopping, ended })
    }
}
