//! The arguments of `play`; the doc comments are what `--help` prints.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tapedeck_engine::playback::PlaybackClock;
use tapedeck_engine::replay::{Moment, Window};
use tapedeck_sdk::options::DurationText;

use super::tape::Idle;
use crate::arguments::session_name;

#[derive(Args)]
pub(crate) struct PlayArguments {
    /// The recording: a file, or a session's folder
    pub(crate) path: PathBuf,
    /// How many times as fast as it was, or max: as fast as possible
    #[arg(long, short, default_value = "1", value_name = "TIMES")]
    pub(crate) speed: Speed,
    /// Begin here: so long after the beginning (10s), or at a time (2026-11-25T03:21:24Z)
    #[arg(long, value_name = "MOMENT")]
    pub(crate) start: Option<Moment>,
    /// Play only so much
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<DurationText>,
    /// Begin again at the end
    #[arg(long, short)]
    pub(crate) r#loop: bool,
    /// Play only streams of this name or pattern, such as 'game*'
    #[arg(long, value_name = "GLOB")]
    pub(crate) stream: Vec<String>,
    #[command(flatten)]
    pub(crate) terminal: TerminalArguments,
    #[command(flatten)]
    pub(crate) into: IntoArguments,
}

/// What only recordings of terminals can be told.
#[derive(Args)]
#[command(next_help_heading = "Recordings of terminals")]
pub(crate) struct TerminalArguments {
    /// Shorten pauses to this, such as 1s; `none` shows them whole [default: what the recording says]
    #[arg(long, short, value_name = "TIME", conflicts_with = "into")]
    pub(crate) idle_limit: Option<IdleArgument>,
    /// Which connection to play, of several in the recording
    #[arg(long, value_name = "NAME", conflicts_with = "into")]
    pub(crate) connection: Option<String>,
    /// Pause at each mark
    #[arg(long, conflicts_with = "into")]
    pub(crate) pause_at_marks: bool,
    /// Ask the terminal to take the recording's size
    #[arg(long, conflicts_with = "into")]
    pub(crate) resize: bool,
}

/// What is played into.
#[derive(Args)]
#[command(next_help_heading = "Into a pipeline")]
pub(crate) struct IntoArguments {
    /// Run this pipeline, with the recording as one more source, called replay
    #[arg(long, value_name = "PIPELINE")]
    pub(crate) into: Option<PathBuf>,
    /// Set a variable that the file asks for with ${KEY}
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "into")]
    pub(crate) settings: Vec<String>,
    /// Put the session's folder in here [default: what the pipeline says, else recordings]
    #[arg(long, value_name = "DIR", requires = "into")]
    pub(crate) directory: Option<PathBuf>,
    /// Call the session this [default: the pipeline's name and the time]
    #[arg(long, value_name = "NAME", value_parser = session_name, requires = "into")]
    pub(crate) session: Option<String>,
    /// Print JSON, for programs
    #[arg(long, requires = "into")]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(long, short, requires = "into")]
    pub(crate) quiet: bool,
}

impl PlayArguments {
    /// The part of the recording that is played.
    pub(crate) fn window(&self) -> Window {
        Window { start: self.start, duration: self.duration.map(|duration| duration.0) }
    }
}

impl TerminalArguments {
    /// The first of them that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--idle-limit", self.idle_limit.is_some()),
            ("--connection", self.connection.is_some()),
            ("--pause-at-marks", self.pause_at_marks),
            ("--resize", self.resize),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as it was recorded.
    Times(f64),
    /// As fast as possible.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let speeds = PlaybackClock::SPEEDS;
        let speed: f64 =
            text.parse().map_err(|_no_number| format!("\"{text}\" is neither a number nor max"))?;
        if speeds.contains(&speed) {
            Ok(Self::Times(speed))
        } else {
            Err(format!("a speed is from {} to {}, or max", speeds.start(), speeds.end()))
        }
    }
}

/// The argument of `--idle-limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleArgument(pub(super) Idle);

impl FromStr for IdleArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Idle::Whole));
        }
        let DurationText(limit) = text.parse()?;
        Ok(Self(Idle::At(limit)))
    }
}
