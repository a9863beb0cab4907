//! The command line as types; the doc comments are what `--help` prints.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tapedeck_engine::at::Place;
use tapedeck_engine::graph::GraphFormat;
use tapedeck_engine::replay::Moment;
use tapedeck_sdk::options::DurationText;

use crate::play::PlayArguments;

/// Records live things and plays them back.
#[derive(Parser)]
#[command(name = "tapedeck", version, max_term_width = 100, after_help = crate::exit::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Look for plugins in this folder too, before $TAPEDECK_PLUGIN_PATH and ~/.local/share/tapedeck/plugins
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) plugin_path: Vec<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Record what a pipeline file declares
    Run(RunArguments),
    /// Record a terminal: your shell, or a command
    Rec(RecArguments),
    /// Play a recording: a terminal as it was, anything else as a table of its streams, or into a pipeline
    #[command(after_help = crate::play::HELP)]
    Play(PlayArguments),
    /// Begin a pipeline file: a commented one that passes the check as it is
    New(NewArguments),
    /// Check a pipeline file without opening anything
    Check(CheckArguments),
    /// Draw a pipeline
    Graph(GraphArguments),
    /// List the plugins, or show one with its options
    Plugins(PluginsArguments),
    /// Show what a session's folder or a recorded file holds
    Inspect(InspectArguments),
    /// List the sessions of a folder
    Sessions(SessionsArguments),
    /// Make the files of a killed session whole
    Recover(RecoverArguments),
    /// Show the frame of a recording that is nearest to a moment
    At(AtArguments),
    /// Write recordings in another format, whole or in part, one or several merged
    Convert(ConvertArguments),
    /// Run a pipeline for a while and compare each stage with a time budget
    Bench(BenchArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What every command that reads a pipeline takes.
#[derive(Args)]
pub(crate) struct PipelineArguments {
    /// The pipeline's TOML file, or - for standard input
    #[arg(value_name = "PIPELINE")]
    pub(crate) path: PathBuf,
    /// Set a variable that the file asks for with ${KEY}
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// Record for this long, such as 5s or 1.5h [default: what the pipeline says, else until Ctrl-C]
    #[arg(long)]
    pub(crate) duration: Option<DurationText>,
    /// Put the session's folder in here [default: what the pipeline says, else recordings]
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Call the session this [default: the pipeline's name and the time]
    #[arg(long, value_name = "NAME", value_parser = session_name)]
    pub(crate) session: Option<String>,
    /// Tell this often how far it is [default: 250ms on a terminal, 1s with --json, else 1m, and whenever something is lost]
    #[arg(long, value_name = "TIME")]
    pub(crate) progress: Option<DurationText>,
    /// Print errors only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Args)]
pub(crate) struct NewArguments {
    /// The file to make, or - for standard output
    #[arg(value_name = "PIPELINE")]
    pub(crate) path: PathBuf,
    /// The plugin that frames come from
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) source: String,
    /// The plugins that write them
    #[arg(long, value_name = "PLUGIN,…", required = true, value_delimiter = ',')]
    pub(crate) sink: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// Fail on warnings too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Args)]
pub(crate) struct GraphArguments {
    /// The pipeline's TOML file, or - for standard input
    #[arg(value_name = "PIPELINE")]
    pub(crate) path: PathBuf,
    /// Set a variable that the file asks for with ${KEY}
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// The notation
    #[arg(long, value_enum, default_value_t = Notation::Text)]
    pub(crate) format: Notation,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Notation {
    /// For the terminal
    Text,
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
}

impl From<Notation> for GraphFormat {
    fn from(notation: Notation) -> Self {
        match notation {
            Notation::Text => Self::Text,
            Notation::Mermaid => Self::Mermaid,
            Notation::Dot => Self::Dot,
        }
    }
}

#[derive(Args)]
pub(crate) struct PluginsArguments {
    #[command(subcommand)]
    pub(crate) command: Option<PluginsCommand>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum PluginsCommand {
    /// List the plugins
    List {
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Show a plugin: its options with types, defaults and units, and the streams it takes and gives
    Inspect {
        /// The plugin's name, or its file
        name: String,
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Run the conformance suite on a plugin file, in a process of its own
    Check(CheckPluginArguments),
    /// Begin a plugin: a project that builds and passes the check as it is
    New(NewPluginArguments),
    /// Say what a plugin file is, for this program itself
    #[command(hide = true)]
    Probe {
        /// The file
        path: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct CheckPluginArguments {
    /// The plugin's file: a component (.wasm) or a dynamic library (.so)
    pub(crate) path: PathBuf,
    /// An option to open it with, as a pipeline has it
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// In this very process
    #[arg(long, hide = true)]
    pub(crate) here: bool,
}

#[derive(Args)]
pub(crate) struct NewPluginArguments {
    /// The plugin's name, which is also the folder's: small letters, digits, - and _
    #[arg(value_parser = plugin_name)]
    pub(crate) name: String,
    /// What it does with frames
    #[arg(long, value_enum, default_value_t = NewKind::Transform)]
    pub(crate) kind: NewKind,
    /// How it gets in
    #[arg(long, value_enum, default_value_t = NewDoor::Wasm)]
    pub(crate) door: NewDoor,
    /// What it is written in (C: a dynamic transform)
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub(crate) language: Language,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewKind {
    /// Gives frames
    Source,
    /// Changes frames
    Transform,
    /// Keeps frames
    Sink,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewDoor {
    /// A component in a sandbox
    Wasm,
    /// A dynamic library
    Dynamic,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    C,
}

/// A plugin's name, as its descriptor may have it.
fn plugin_name(name: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let good =
        name.chars().all(letter) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 64;
    if good { Ok(name.to_owned()) } else { Err("small letters, digits, - and _, a letter first".to_owned()) }
}

#[derive(Args)]
pub(crate) struct InspectArguments {
    /// A session's folder, or a recorded file
    pub(crate) path: PathBuf,
    /// Read files of over 64 MiB to their ends, too, where an index tells what is in them
    #[arg(long)]
    pub(crate) full: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct SessionsArguments {
    /// The folder that the sessions' folders are in
    #[arg(value_name = "DIR", default_value = "recordings")]
    pub(crate) directory: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RecoverArguments {
    /// The session's folder
    pub(crate) path: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RecArguments {
    /// The asciicast file to make
    pub(crate) path: PathBuf,
    /// The command [default: your shell]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Record what is typed, too
    #[arg(long)]
    pub(crate) input: bool,
    /// The recording's title
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// The key that sets a mark, or none
    #[arg(long, value_name = "KEY", default_value = "ctrl-]")]
    pub(crate) mark_key: String,
    /// The key that pauses the recording and goes on with it, or none
    #[arg(long, value_name = "KEY", default_value = "ctrl-\\")]
    pub(crate) pause_key: String,
    /// The version of the asciicast format
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) format: u8,
    /// Print errors only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A difference of time in ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift(pub(crate) i64);

/// A duration that may be below zero.
fn shift(text: &str) -> Result<Shift, String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration: DurationText = rest.parse()?;
    let nanos =
        i64::try_from(duration.0.as_nanos()).map_err(|_too_long| format!("\"{text}\" is too long"))?;
    Ok(Shift(sign * nanos))
}

#[derive(Args)]
pub(crate) struct AtArguments {
    /// The recording: a file or a session's folder
    pub(crate) path: PathBuf,
    /// The moment: so long after the beginning (12.5s), or a time (2026-11-25T03:21:24Z); or the name of a checkpoint
    #[arg(value_name = "MOMENT")]
    pub(crate) place: Place,
    /// The stream, of several in the recording
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// How far away the frame may be, such as 100ms
    #[arg(long, value_name = "TIME")]
    pub(crate) tolerance: Option<DurationText>,
}

#[derive(Args)]
pub(crate) struct ConvertArguments {
    /// The recordings (files or sessions' folders), and last the file to make; its extension says which sink writes it
    #[arg(required = true, num_args = 2.., value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Take only streams of this name or pattern, such as 'game*'
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Vec<String>,
    /// Begin here: so long after the beginning (10s), or at a time (2026-11-25T03:21:24Z)
    #[arg(long, value_name = "MOMENT")]
    pub(crate) start: Option<Moment>,
    /// Take only so much
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<DurationText>,
    /// Add this to every time, such as 1h or -2s
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = shift)]
    pub(crate) shift: Option<Shift>,
    /// An option of that sink, as a pipeline has it, such as version=3
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The time that a frame may take in each stage
    #[arg(long, default_value = "16.67ms")]
    pub(crate) budget: DurationText,
    /// How long to run
    #[arg(long, default_value = "5s")]
    pub(crate) duration: DurationText,
}

/// A session's name, as the engine takes it.
pub(crate) fn session_name(name: &str) -> Result<String, String> {
    tapedeck_engine::session::check_name(name).map(|()| name.to_owned()).map_err(|error| {
        let hint = error.hint.unwrap_or_default();
        format!("{}: {hint}", error.message)
    })
}
