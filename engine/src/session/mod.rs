//! A session on disk: its folder, its manifest, and what the stages are told of it.

mod folder;
mod host;
mod manifest;

pub(crate) use folder::{SessionFolder, hash_file};
pub(crate) use host::{Accounts, StageHost};
pub use manifest::{
    EndedBy, Manifest, ManifestArtifact, ManifestInput, ManifestJournal, ManifestSink, ManifestStream, Status,
};

/// The manifest's file name.
pub const MANIFEST: &str = "session.json";
/// The ledger's file name.
pub const LEDGER: &str = "session.ledger";
/// The folder of the journals.
pub const JOURNAL: &str = "journal";
