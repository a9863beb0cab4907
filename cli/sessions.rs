//! `sessions`: what a folder of sessions holds, for people and programs.

use tapedeck_engine::session::{ListedSession, Status, list};
use tapedeck_sdk::Timestamp;

use crate::arguments::SessionsArguments;
use crate::exit;
use crate::output::{bytes, print, print_error, print_error_text, print_json, table, word};
use crate::report::loss_text;

/// How many streams of a session are named.
const STREAMS_SHOWN: usize = 4;

/// `tapedeck sessions`.
pub(crate) fn sessions(arguments: &SessionsArguments) -> u8 {
    let listed = match list(&arguments.directory) {
        Ok(listed) => listed,
        Err(error) => {
            print_error(&error, arguments.json);
            return exit::of(&error);
        }
    };
    let is_whole = listed.iter().all(|session| session.error.is_none());
    let code = if is_whole { exit::COMPLETE } else { exit::WITH_LOSS };
    if arguments.json {
        print_json(&listed);
        return code;
    }
    if listed.is_empty() {
        print_error_text(&format!("no sessions in {}\n", word(arguments.directory.display())));
        return code;
    }
    let header = ["session", "status", "started", "duration", "size", "lost", "streams"];
    print(&table(&header, &[0, 1, 2, 5, 6], listed.iter().map(row).collect()));
    code
}

/// The folder's name, and the session's id where that is another: it was recorded elsewhere.
fn name(session: &ListedSession) -> String {
    let folder =
        session.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if folder == session.session { folder } else { format!("{folder} ({})", session.session) }
}

fn row(session: &ListedSession) -> Vec<String> {
    let dash = || "-".to_owned();
    let status = match session.status {
        Some(Status::Recording) => "recording",
        Some(Status::Complete) => "complete",
        Some(Status::Interrupted) => "interrupted",
        Some(Status::Recovered) => "recovered",
        None => "unreadable",
    };
    let started = session.started_at_ns.map_or_else(dash, |at| {
        // Without the fraction: seconds are enough to find a session by.
        Timestamp(at).to_iso8601().replace('T', " ").chars().take(19).collect()
    });
    let mut streams: Vec<String> = session.streams.iter().take(STREAMS_SHOWN).cloned().collect();
    if session.streams.len() > STREAMS_SHOWN {
        streams.push(format!("and {} more", session.streams.len() - STREAMS_SHOWN));
    }
    vec![
        name(session),
        status.to_owned(),
        started,
        session.duration_seconds.map_or_else(dash, |seconds| format!("{seconds:.1} s")),
        bytes(session.bytes),
        match session.loss {
            Some(loss) if !loss.any() => "nothing".to_owned(),
            Some(loss) => loss_text(loss),
            None => "not known".to_owned(),
        },
        streams.join(", "),
    ]
}
