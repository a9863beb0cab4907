//! The `tapedeck` program: reads its arguments, calls the engine, prints what comes of it. Knows no format and moves no batch.

mod arguments;
mod at;
mod bench;
mod builtins;
mod command;
mod convert;
mod doors;
mod exit;
mod inspect;
mod live;
mod options;
mod output;
mod play;
mod plugins;
mod rec;
mod recover;
mod report;
mod run;
mod sessions;
mod starter;
mod unexpected_exit;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    survive_file_size_limit();
    // A plugin's panic is told in the report, with its place.
    tapedeck_sdk::panics::hide_caught();
    let arguments = Arguments::try_parse().unwrap_or_else(|error| refuse(error));
    let _ours = ExpectExit;
    let plugin_path = &arguments.plugin_path;
    let code = match arguments.command {
        Command::Run(run) => run::run(&run, plugin_path),
        Command::Rec(rec) => rec::rec(&rec),
        Command::Play(play) => play::play(&play, plugin_path),
        Command::New(new) => starter::new(&new, plugin_path),
        Command::Check(check) => run::check(&check, plugin_path),
        Command::Graph(graph) => run::graph(&graph, plugin_path),
        Command::Plugins(plugins) => plugins::plugins(&plugins, plugin_path),
        Command::Inspect(inspect) => inspect::inspect(&inspect),
        Command::Sessions(sessions) => sessions::sessions(&sessions),
        Command::Recover(recover) => recover::recover(&recover),
        Command::At(at) => at::at(&at),
        Command::Convert(convert) => convert::convert(&convert),
        Command::Bench(bench) => bench::bench(&bench, plugin_path),
        Command::Completions { shell } => completions(shell),
    };
    ExitCode::from(code)
}

/// Says what is wrong with the arguments. They are repeated in it, and may be others' text, such as the name of a file.
fn refuse(error: clap::Error) -> ! {
    let spelled = std::env::args_os().map(|argument| output::word(argument.display()));
    Arguments::try_parse_from(spelled).err().unwrap_or(error).exit()
}

/// A limit on the size of files (`ulimit -f`) costs the sink that reaches it, like a full disk, and not the process.
fn survive_file_size_limit() {
    let reached = std::sync::Arc::default();
    // Where it can't be had, the limit ends the process as it does by default.
    drop(signal_hook::flag::register(signal_hook::consts::SIGXFSZ, reached));
}

/// When it is dropped the program ends by itself, even by a panic.
struct ExpectExit;

impl Drop for ExpectExit {
    fn drop(&mut self) {
        unexpected_exit::expect();
    }
}

fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tapedeck", &mut script);
    output::print(&String::from_utf8_lossy(&script));
    0
}
