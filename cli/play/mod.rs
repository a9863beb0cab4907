//! `play`: shows a recording with its original timing: a terminal as it was, anything else as a table of its streams; or plays it into a
//! pipeline. What the clock does is the engine's; what a file looks like, its format's.

mod arguments;
mod into;
mod keys;
mod player;
mod screen;
mod table;
mod tape;
mod terminal;
mod values;

use std::path::PathBuf;

use tapedeck_engine::replay::Reel;
use tapedeck_sdk::{Error, Kind};

use crate::output::print_error;
use crate::{builtins, exit};

pub(crate) use arguments::PlayArguments;
pub(crate) use keys::HELP;

use player::Player;
use table::TableShow;
use tape::{Idle, Tape};
use terminal::TerminalShow;

/// `tapedeck play`.
pub(crate) fn play(arguments: &PlayArguments, plugin_path: &[PathBuf]) -> u8 {
    if let Some(pipeline) = &arguments.into.into {
        return into::play_into(arguments, pipeline, plugin_path);
    }
    match show(arguments) {
        Ok(Ok(())) => exit::COMPLETE,
        // What comes before was shown.
        Ok(Err(error)) => {
            print_error(&error, false);
            exit::WITH_LOSS
        }
        Err(error) => {
            print_error(&error, false);
            exit::of(&error)
        }
    }
}

/// The inner error came up while it was played.
fn show(arguments: &PlayArguments) -> Result<Result<(), Error>, Error> {
    let path = &arguments.path;
    let mut reel = Reel::open(&builtins::registry(), std::slice::from_ref(path), &arguments.stream)?;
    let (window, speed, again) = (arguments.window(), arguments.speed, arguments.r#loop);
    let terminal = &arguments.terminal;
    if reel.streams().iter().any(|schema| schema.kind() == Kind::Terminal) {
        reel.retain(|schema| schema.kind() == Kind::Terminal);
        let idle = terminal.idle_limit.map_or(Idle::AsRecorded, |limit| limit.0);
        let tape = Tape::open(reel, path, terminal.connection.as_deref(), idle, window)?;
        let show = TerminalShow::new(tape, terminal);
        return Ok(Player::new(show, speed, again)?.run());
    }
    if let Some(given) = terminal.given() {
        return Err(Error::environment(format!(
            "{given} is for recordings of terminals: {}",
            path.display()
        ))
        .with_hint("tapedeck inspect shows what a recording holds"));
    }
    Ok(Player::new(TableShow::open(reel, path, window)?, speed, again)?.run())
}
