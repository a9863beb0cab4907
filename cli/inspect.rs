//! `inspect`: what a session or a file holds, for people and programs.

use tapedeck_engine::inspect::{
    EventInspection, FileInspection, Reach, SessionInspection, StreamInspection, TerminalInspection,
    inspect as look,
};
use tapedeck_engine::session::Status;

use crate::arguments::InspectArguments;
use crate::output::{first_of, message, print, print_error, print_json, thousands, word};
use crate::recover::stream_line;
use crate::report::{absent_text, loss_text};
use crate::{builtins, exit, report};

/// How many whole files of a session are shown.
const FILES_MAX: usize = 10;
/// How many types of events, players and checkpoints.
const LISTED_MAX: usize = 24;

/// `tapedeck inspect`.
pub(crate) fn inspect(arguments: &InspectArguments) -> u8 {
    let reach = if arguments.full { Reach::End } else { Reach::Index };
    let found = match look(&builtins::registry(), &arguments.path, reach) {
        Ok(found) => found,
        Err(error) => {
            print_error(&error, arguments.json);
            return exit::of(&error);
        }
    };
    let code = match &found {
        Ok(session) if session.manifest.status == Status::Interrupted => exit::WITH_LOSS,
        Ok(session) => code(&session.files),
        Err(file) => code(std::slice::from_ref(file)),
    };
    match (&found, arguments.json) {
        (Ok(session), true) => print_json(session),
        (Err(file), true) => print_json(file),
        (Ok(session), false) => print(&session_text(session)),
        (Err(file), false) => print(&file_text(file)),
    }
    code
}

/// Whether the files could be read to their ends.
fn code(files: &[FileInspection]) -> u8 {
    let is_damaged = files.iter().any(|file| file.error.is_some());
    let has_frames = files.iter().flat_map(|file| &file.streams).any(|stream| stream.frames > 0);
    match (is_damaged, has_frames) {
        (false, _) => exit::COMPLETE,
        (true, true) => exit::WITH_LOSS,
        (true, false) => exit::FAILED,
    }
}

fn session_text(session: &SessionInspection) -> String {
    let manifest = &session.manifest;
    let status = match manifest.status {
        Status::Recording => "recording now",
        Status::Complete => "complete",
        Status::Interrupted => "interrupted",
        Status::Recovered => "recovered",
    };
    let mut text = format!("session {}: {status}\n", word(&manifest.session));
    text.push_str(&format!("  started  {}\n", word(&manifest.started_at)));
    if let Some(ended_at) = &manifest.ended_at {
        text.push_str(&format!("  ended    {}\n", word(ended_at)));
    }
    let unknown = manifest.streams.iter().any(|stream| stream.unknown);
    let ended = manifest.ended_at.is_some() || manifest.status == Status::Recovered;
    text.push_str(&match (ended, unknown) {
        (true, false) => {
            let absent = manifest.streams.iter().map(|stream| stream.absent).sum();
            format!("  lost     {}{}\n", loss_text(manifest.loss), absent_text(absent))
        }
        (true, true) => "  lost     not known: the session's ledger was lost\n".to_owned(),
        (false, _) if session.interrupted.is_empty() => "  lost     not known yet\n".to_owned(),
        (false, _) => "  lost     as far as the files show, which `recover` may still mend:\n".to_owned(),
    });
    for stream in &session.interrupted {
        text.push_str(&format!("    {}", stream_line(stream)));
    }
    if manifest.status == Status::Interrupted {
        text.push_str(&format!("  hint: tapedeck recover {}\n", word(session.folder.display())));
    }
    // What is damaged is told of each; of whole ones the first few are enough for people.
    let (damaged, whole): (Vec<_>, Vec<_>) = session.files.iter().partition(|file| file.error.is_some());
    let shown = if whole.len() > FILES_MAX + 1 { FILES_MAX } else { whole.len() };
    for file in damaged.into_iter().chain(whole.iter().take(shown).copied()) {
        text.push('\n');
        text.push_str(&file_text(file));
    }
    if whole.len() > shown {
        text.push_str(&format!(
            "\nand {} more files (--json shows all)\n",
            thousands((whole.len() - shown) as u64)
        ));
    }
    text
}

fn file_text(file: &FileInspection) -> String {
    if file.format.is_empty() && file.error.is_none() {
        return format!("{}: for other programs\n", word(file.path.display()));
    }
    let mut text = format!("{} ({})\n", word(file.path.display()), file.format);
    for stream in &file.streams {
        text.push_str(&stream_text(stream));
    }
    if !file.read && file.error.is_none() {
        text.push_str("  by its index; --full reads the frames, for intervals, gaps and nulls\n");
    }
    if let Some(error) = &file.error {
        text.push_str(&format!("  can't be read to its end: {}\n", message(&error.message)));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("  hint: {}\n", message(hint)));
        }
    }
    text
}

fn terminal_text(terminal: &TerminalInspection) -> String {
    let names = [("o", "output"), ("i", "input"), ("r", "resize"), ("m", "mark"), ("x", "exit")];
    let name = |code: &str| {
        names.iter().find(|(known, _)| *known == code).map_or_else(|| word(code), |found| found.1.to_owned())
    };
    let events: Vec<String> =
        terminal.events.iter().map(|(code, count)| format!("{} {}", thousands(*count), name(code))).collect();
    let size = terminal.size.as_ref().map(|size| format!(" of {}", word(size))).unwrap_or_default();
    let connections = if terminal.connections == 1 { "terminal" } else { "terminals" };
    format!(
        "    {} {connections}{size}: {}; {} bytes of output\n",
        thousands(terminal.connections),
        events.join(", "),
        thousands(terminal.output_bytes)
    )
}

fn event_text(events: &EventInspection) -> String {
    let counts = |(name, count): (&String, &u64)| format!("{} {name}", thousands(*count));
    let mut text = format!("    events: {}\n", first_of(LISTED_MAX, events.types.iter().map(counts)));
    text.push_str(&format!("    players: {}\n", first_of(LISTED_MAX, events.players.iter().map(counts))));
    if !events.checkpoints.is_empty() {
        let checkpoint = |(name, at): &(String, u64)| format!("{name} at {}", thousands(*at));
        text.push_str(&format!(
            "    checkpoints: {}\n",
            first_of(LISTED_MAX, events.checkpoints.iter().map(checkpoint))
        ));
    }
    text
}

fn stream_text(stream: &StreamInspection) -> String {
    let schema = &stream.schema;
    let mut text =
        format!("  stream {} ({}): {} frames", word(schema.name()), schema.kind(), thousands(stream.frames));
    if let Some((first, last)) = stream.timestamps {
        let seconds = tapedeck_sdk::Timestamp(last).since(tapedeck_sdk::Timestamp(first)).as_secs_f64();
        text.push_str(&format!(" in {seconds:.3} s, {:.2} frames/s", stream.frames_per_second));
    }
    text.push('\n');
    if stream.gap_count.is_some() {
        text.push_str(&format!("    interval p50/p99/max  {}\n", report::percentiles(stream.interval)));
    }
    if let Some((first, last)) = stream.seq {
        let missing = stream.missing.map_or(String::new(), |missing| format!(", {missing} missing"));
        let gaps = stream.gap_count.map_or(String::new(), |gaps| format!(" in {gaps} gaps"));
        text.push_str(&format!("    seq {first} to {last}{missing}{gaps}\n"));
    }
    for (first, missing) in &stream.gaps {
        text.push_str(&format!("      gap: {missing} from {first}\n"));
    }
    if let Some(terminal) = &stream.terminal {
        text.push_str(&terminal_text(terminal));
    }
    if let Some(events) = &stream.events {
        text.push_str(&event_text(events));
    }
    text.push_str(&format!("    {} columns\n", schema.payload().len()));
    for (index, field) in schema.payload().iter().enumerate() {
        let nulls = stream.nulls.as_ref().and_then(|nulls| nulls.get(index)).copied().unwrap_or(0);
        let unit = field
            .metadata
            .get(tapedeck_sdk::Field::UNIT)
            .map_or(String::new(), |unit| format!(" in {}", word(unit)));
        let nulls = if nulls > 0 { format!(", {nulls} null") } else { String::new() };
        text.push_str(&format!("      {}: {}{unit}{nulls}\n", word(&field.name), field.data_type));
    }
    text
}
