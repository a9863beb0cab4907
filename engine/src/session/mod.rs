//! A session on disk: its folder, its manifest, and what the stages are told of it.

mod events;
mod folder;
mod host;
mod list;
mod manifest;
mod naming;

pub(crate) use events::{Ears, Events};
pub(crate) use folder::{Artifact, SessionFolder, hash_file, open_regular};
pub(crate) use host::{Accounts, StageHost};
pub use list::{ListedSession, list, look};
pub(crate) use manifest::check_path;
pub use manifest::{
    ArtifactRole, EndedBy, LedgerCounts, Manifest, ManifestArtifact, ManifestEvent, ManifestInput,
    ManifestJournal, ManifestSink, ManifestStream, SessionEvent, SourceCounts, Status,
};
pub use naming::check_name;
pub(crate) use naming::free_name;

/// The manifest's file name.
pub const MANIFEST: &str = "session.json";
/// The ledger's file name.
pub const LEDGER: &str = "session.ledger";
/// The folder of the journals.
pub const JOURNAL: &str = "journal";
/// The next manifest, until it is whole.
pub(crate) const FRESH_MANIFEST: &str = ".session.json.new";
/// Where `recover` writes files anew, which it moves over the old ones when they are whole.
pub(crate) const RECOVERING: &str = ".recovering";
/// What a session's folder holds of the session itself: no stage's file may be one of these, or lie in a folder of that name.
pub(crate) const RESERVED: &[&str] = &[MANIFEST, LEDGER, JOURNAL, FRESH_MANIFEST, RECOVERING];
