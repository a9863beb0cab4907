//! What a pipeline says of a replay.

use std::path::PathBuf;
use std::time::Duration;

use tapedeck_sdk::Error;
use tapedeck_sdk::options::DurationText;

use super::{Moment, Window};
use crate::playback::PlaybackClock;

/// Options of the `replay` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "path": "recordings/game-1" }]))]
pub(crate) struct ReplayOptions {
    /// What is played: a file, a session's folder, a folder that is a format, or a list of them, merged in the order of time.
    pub(crate) path: Paths,
    /// The streams that are played: names, or patterns with `*` and `?`. Default: all.
    #[serde(default)]
    pub(crate) streams: Vec<String>,
    /// How many times as fast as it was recorded, from 0.01 to 1000.
    #[serde(default = "default_speed")]
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub(crate) speed: f64,
    /// Where to begin: so long after the beginning (`"10s"`), or at a time (`"2026-11-25T03:21:24Z"`).
    #[serde(default)]
    pub(crate) start: Option<String>,
    /// How much of the recording is played.
    #[serde(default)]
    pub(crate) duration: Option<DurationText>,
    /// Whether to begin again at the end, without end (`true`) or so many times in all. `seq` and time go on rising.
    #[serde(default)]
    pub(crate) r#loop: Loop,
    /// `recorded`: with the intervals of the recording. `none`: as fast as possible, in the order of time.
    #[serde(default)]
    pub(crate) timing: Timing,
    /// What happens when the replay is behind: `catch_up` gives at once what is due, `slip` goes on later, all streams together,
    /// `drop` leaves out what is later than `late_max` and counts it.
    #[serde(default)]
    pub(crate) behind: Behind,
    /// How late a frame may be before it is dropped, with `behind = "drop"`.
    #[serde(default = "default_late_max")]
    pub(crate) late_max: DurationText,
}

fn default_speed() -> f64 {
    1.0
}

fn default_late_max() -> DurationText {
    DurationText(Duration::from_millis(100))
}

/// One path or several.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl Paths {
    pub(crate) fn as_slice(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }
}

/// How often a recording is played.
#[derive(Debug, Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum Loop {
    Endless(bool),
    Times(u32),
}

impl Default for Loop {
    fn default() -> Self {
        Self::Endless(false)
    }
}

impl Loop {
    /// Whether pass `pass`, counted from 0, is played.
    pub(crate) fn plays(self, pass: u64) -> bool {
        match self {
            Self::Endless(endless) => endless || pass == 0,
            Self::Times(times) => pass < u64::from(times),
        }
    }
}

/// When frames are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Timing {
    #[default]
    Recorded,
    None,
}

/// What happens when they are given late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behind {
    #[default]
    CatchUp,
    Slip,
    Drop,
}

impl ReplayOptions {
    /// Looks at the options alone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.path.as_slice().is_empty() {
            return Err(Error::option(["path"], "there is nothing to play: the list is empty"));
        }
        if !PlaybackClock::SPEEDS.contains(&self.speed) {
            return Err(Error::option(
                ["speed"],
                format!("a speed of {} is not from 0.01 to 1000", self.speed),
            )
            .with_hint("`timing = \"none\"` plays as fast as possible"));
        }
        self.window().map(drop)
    }

    /// The part of the recording that is played.
    pub(crate) fn window(&self) -> Result<Window, Error> {
        let start = self.start.as_deref().map(str::parse::<Moment>).transpose();
        let start = start.map_err(|why| Error::option(["start"], why))?;
        Ok(Window { start, duration: self.duration.map(|duration| duration.0) })
    }
}
