//! The sessions of a folder, by their manifests alone: no recording is read, and no file but the manifest is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tapedeck_sdk::{Error, Loss};

use super::manifest::{parse, parse_if_there};
use super::{LEDGER, MANIFEST, Status};
use crate::{ledger, threads};

/// The most threads that look at folders, and how many folders make one more worth its start.
const THREADS_MAX: usize = 8;
const FOLDERS_A_THREAD_MIN: usize = 256;

/// What a manifest says of its session, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedSession {
    /// Its folder.
    pub folder: PathBuf,
    /// Its id.
    pub session: String,
    /// How far it got; none if the manifest can't be read. One that was killed is `interrupted`.
    pub status: Option<Status>,
    /// When it began, in ns since the Unix epoch.
    pub started_at_ns: Option<i64>,
    /// Seconds until its last file was closed; none if it did not end by itself.
    pub duration_seconds: Option<f64>,
    /// The names of its source streams.
    pub streams: Vec<String>,
    /// All that was lost; none where that is not known (yet).
    pub loss: Option<Loss>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Why the manifest can't be read.
    pub error: Option<Error>,
}

/// What is wanted of a manifest.
#[derive(Deserialize)]
struct Head {
    session: String,
    status: Status,
    started_at_ns: i64,
    ended_at_ns: Option<i64>,
    loss: Loss,
    streams: Vec<HeadStream>,
    artifacts: Vec<HeadArtifact>,
}

#[derive(Deserialize)]
struct HeadStream {
    name: String,
    #[serde(default)]
    unknown: bool,
}

#[derive(Deserialize)]
struct HeadArtifact {
    path: String,
    bytes: Option<u64>,
}

/// The sessions whose folders lie in `directory`, the oldest first; those whose manifest can't be read last.
///
/// # Errors
/// The directory can't be read.
pub fn list(directory: &Path) -> Result<Vec<ListedSession>, Error> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::environment(format!("there is no such folder: {}", directory.display()))
        }
        _ => Error::io("list the sessions", directory, &error),
    };
    let folders = std::fs::read_dir(directory).map_err(failed)?.map(|entry| Ok(entry?.path()));
    let folders: Vec<PathBuf> = folders.collect::<std::io::Result<_>>().map_err(failed)?;
    let mut sessions = look_at_all(folders);
    sessions.sort_by_key(|session| {
        (session.started_at_ns.is_none(), session.started_at_ns, session.session.clone())
    });
    Ok(sessions)
}

/// Looks at folders, at as many at once as there are processors.
fn look_at_all(folders: Vec<PathBuf>) -> Vec<ListedSession> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let helpers = (folders.len() / FOLDERS_A_THREAD_MIN).min(processors.min(THREADS_MAX) - 1);
    let queue = Arc::new(Folders { folders, next: AtomicUsize::new(0) });
    // Where the system refuses a thread the others do its share.
    let help = |_| {
        let queue = queue.clone();
        threads::start("sessions", move || queue.look()).ok()
    };
    let helpers: Vec<_> = (0..helpers).filter_map(help).collect();
    let mut sessions = queue.look();
    for helper in helpers {
        sessions.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    }
    sessions
}

/// Folders that several threads share out among themselves.
struct Folders {
    folders: Vec<PathBuf>,
    next: AtomicUsize,
}

impl Folders {
    fn look(&self) -> Vec<ListedSession> {
        let next = || self.folders.get(self.next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(next).filter_map(|folder| look_if_there(folder.clone())).collect()
    }
}

/// What the manifest in a folder says. One that can't be read, or isn't there, is an error in what is returned.
#[must_use]
pub fn look(folder: &Path) -> ListedSession {
    match parse(&folder.join(MANIFEST)) {
        Ok(head) => listed(folder.to_owned(), head),
        Err(error) => unreadable(folder.to_owned(), error),
    }
}

/// The session of a folder; none if it has no manifest of its own.
fn look_if_there(folder: PathBuf) -> Option<ListedSession> {
    match parse_if_there(&folder.join(MANIFEST)) {
        Ok(head) => head.map(|head| listed(folder, head)),
        Err(error) => Some(unreadable(folder, error)),
    }
}

fn unreadable(folder: PathBuf, error: Error) -> ListedSession {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    ListedSession {
        folder,
        session: name,
        status: None,
        started_at_ns: None,
        duration_seconds: None,
        streams: Vec::new(),
        loss: None,
        bytes: 0,
        error: Some(error),
    }
}

fn listed(folder: PathBuf, head: Head) -> ListedSession {
    let live = head.status == Status::Recording && ledger::is_live(&folder.join(LEDGER));
    let status = if head.status == Status::Recording && !live { Status::Interrupted } else { head.status };
    let ended = head.ended_at_ns.filter(|_| status != Status::Recording);
    let known =
        (ended.is_some() || status == Status::Recovered) && !head.streams.iter().any(|stream| stream.unknown);
    let bytes = head.artifacts.iter().map(|artifact| size(&folder, artifact)).fold(0, u64::saturating_add);
    ListedSession {
        session: head.session,
        status: Some(status),
        started_at_ns: Some(head.started_at_ns),
        duration_seconds: ended.map(|ended| {
            tapedeck_sdk::Timestamp(ended).since(tapedeck_sdk::Timestamp(head.started_at_ns)).as_secs_f64()
        }),
        streams: head.streams.into_iter().map(|stream| stream.name).collect(),
        loss: known.then_some(head.loss),
        bytes,
        error: None,
        folder,
    }
}

/// The size of a file that the manifest does not have yet is asked of the system. A name that leads out of the folder has none.
fn size(folder: &Path, artifact: &HeadArtifact) -> u64 {
    let inside =
        || Path::new(&artifact.path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let ask = || folder.join(&artifact.path).symlink_metadata().map_or(0, |found| found.len());
    artifact.bytes.unwrap_or_else(|| if inside() { ask() } else { 0 })
}
