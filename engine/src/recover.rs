//! Makes the files of a killed session whole: mends what can be mended, writes the rest again from its journal, and says what is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use serde::Serialize;
use tapedeck_sdk::{Error, Format, PluginKind, Repair, SessionInfo, StreamSchema, Timestamp};

use crate::accounting::{Account, Found, FoundInSink};
use crate::closing::measure;
use crate::inspect::read;
use crate::ledger;
use crate::pipeline::{Variables, with_values};
use crate::reading;
use crate::registry::Registry;
use crate::rewriting::{self, Rewriting, Rewritten};
use crate::session::{
    ArtifactRole, LEDGER, Manifest, ManifestArtifact, ManifestJournal, ManifestSink, RECOVERING, Status,
};

/// What `recover` did and found.
#[derive(Debug, Clone, Serialize)]
pub struct Recovery {
    /// The session's folder.
    pub folder: PathBuf,
    /// Whether there was anything to do.
    pub was_whole: bool,
    /// What became of each file.
    pub files: Vec<RecoveredFile>,
    /// What each sink has of each stream.
    pub streams: Vec<RecoveredStream>,
    /// 0: nothing is lost. 3: recovered with loss, or nobody knows. 1: a file could not be recovered.
    pub exit_code: u8,
}

/// What became of a file.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredFile {
    /// Relative to the session's folder.
    pub path: String,
    /// What was done.
    pub outcome: String,
    /// Whether it can be read now.
    pub readable: bool,
}

/// What a sink has of a stream. Numbers that are not known are none.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredStream {
    /// The sink's id.
    pub sink: String,
    /// The stream's name.
    pub stream: String,
    /// Frames that can be read.
    pub frames: Option<u64>,
    /// Frames that the source gave: read, dropped, failed and lost ones, and those that a transform left out by intent.
    pub given: Option<u64>,
    /// Frames that queues had dropped before.
    pub dropped: Option<u64>,
    /// Frames that a stage could not take before.
    pub failed: Option<u64>,
    /// Frames that were on their way, or not safe yet.
    pub lost: Option<u64>,
    /// The same in seconds, by the stream's rate.
    pub lost_seconds: Option<f64>,
}

/// Makes the files of a session whole. Doing it twice does no harm: the numbers are counted from the ledger and the files each time.
/// Options that came from the environment are looked up in `variables` again, where a file must be written anew.
///
/// # Errors
/// There is no such session, it still runs, somebody else recovers it, or the disk refuses.
pub fn recover(registry: &Registry, variables: &Variables, folder: &Path) -> Result<Recovery, Error> {
    let _lock = lock(folder)?;
    let mut manifest = Manifest::read(folder)?;
    if ledger::is_live(&folder.join(LEDGER)) {
        return Err(Error::environment(format!("the session is still recording: {}", folder.display()))
            .with_hint("stop it first; its files become whole by themselves"));
    }
    let mut recovery = Recovery {
        folder: folder.to_owned(),
        was_whole: matches!(manifest.status, Status::Complete | Status::Recovered),
        files: Vec::new(),
        streams: Vec::new(),
        exit_code: 0,
    };
    if recovery.was_whole {
        return Ok(recovery);
    }
    let account = match ledger::read(&folder.join(LEDGER)) {
        Ok(entries) => Account::of_ledger(&manifest, entries),
        Err(_) if manifest.ended_at.is_some() => Account::of_manifest(&manifest),
        Err(error) => {
            let outcome = format!("can't be read: {error}: how much is lost is not known");
            recovery.files.push(RecoveredFile { path: LEDGER.to_owned(), outcome, readable: true });
            Account::unknown()
        }
    };
    let mending = Mending { registry, variables, folder, account: &account };
    let (mut needed, mut uncertain) = (Vec::new(), account.is_unknown());
    for index in 0..manifest.sinks.len() {
        let sink = &manifest.sinks[index];
        let found = mending.sink(&manifest, sink, &mut recovery);
        if found.as_ref().is_some_and(|found| !found.complete) {
            needed.push(sink.id.clone());
        }
        uncertain |= match &found {
            Some(found) => !found.holds_every_frame,
            None => !recordings(&manifest, sink).is_empty(),
        };
        let streams = account.settle(&mut manifest, index, found.as_ref());
        recovery.streams.extend(streams);
    }
    account.settle_streams(&mut manifest);
    let whole = needed.is_empty() && recovery.files.iter().all(|file| file.readable);
    // What is not known is not taken for none.
    let lossy = manifest.loss.any() || uncertain;
    recovery.exit_code = if whole { u8::from(lossy) * 3 } else { 1 };
    finish(folder, manifest, whole)?;
    Ok(recovery)
}

/// Keeps everybody else from recovering the session for as long as the file is open.
fn lock(folder: &Path) -> Result<fs::File, Error> {
    let opened = fs::File::open(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::environment(format!("there is no such session: {}", folder.display()))
        }
        _ => Error::io("open the session", folder, &error),
    })?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Error::environment(format!("somebody else recovers the session: {}", folder.display()))
                .with_hint("wait until that is done"))
        }
        // A file system without locks is no reason not to recover.
        _ => Ok(opened),
    }
}

/// Writes the manifest and takes the scaffolding away.
fn finish(folder: &Path, mut manifest: Manifest, whole: bool) -> Result<(), Error> {
    manifest.artifacts.iter_mut().for_each(|artifact| measure(folder, artifact));
    if whole {
        manifest.status = Status::Recovered;
        for journal in std::mem::take(&mut manifest.journals) {
            drop(fs::remove_file(folder.join(journal.path)));
        }
        drop(fs::remove_dir(folder.join(crate::session::JOURNAL)));
    }
    manifest.write(folder)?;
    if whole {
        drop(fs::remove_file(folder.join(LEDGER)));
    }
    Ok(())
}

/// Mends the files of a session's sinks.
struct Mending<'a> {
    registry: &'a Registry,
    variables: &'a Variables,
    folder: &'a Path,
    account: &'a Account,
}

impl Mending<'_> {
    /// Recovers the files of one sink. Returns what they hold; `None` without a reader.
    fn sink(&self, manifest: &Manifest, sink: &ManifestSink, recovery: &mut Recovery) -> Option<FoundInSink> {
        let Self { registry, folder, .. } = *self;
        let format = registry.find(PluginKind::Sink, &sink.plugin)?.format()?.clone();
        let artifacts = recordings(manifest, sink);
        let mut outcomes = Vec::new();
        for artifact in &artifacts {
            outcomes.push(mend(format.as_ref(), &folder.join(&artifact.path)));
        }
        let unreadable = outcomes.iter().any(|outcome| matches!(outcome, Repair::Unreadable(_)));
        // A file may be whole and yet hold less than was safe: one whose writer could only save what it could.
        let kept = journal_frames(registry, folder, manifest, sink);
        let behind = kept
            > artifacts.iter().map(|artifact| frames(format.as_ref(), &folder.join(&artifact.path))).sum();
        let rebuilt = (unreadable || behind).then(|| self.rebuild(manifest, sink));
        let mut streams: Vec<Found> = Vec::new();
        for (artifact, outcome) in artifacts.iter().zip(outcomes) {
            let path = folder.join(&artifact.path);
            let (found, error) = match path.exists().then(|| read(format.as_ref(), &path)) {
                None => (Vec::new(), None),
                Some(Ok((found, error))) => (found, error),
                Some(Err(error)) => (Vec::new(), Some(error)),
            };
            streams.extend(found.into_iter().map(|stream| Found { input: artifact.input, stream }));
            let outcome = match (&rebuilt, outcome) {
                (Some(Ok(told)), _) => format!("written again from the journal{told}"),
                (Some(Err(error)), _) => format!("can't be written again: {error}"),
                (None, _) if !path.exists() => "was not begun".to_owned(),
                (None, Repair::Intact) => "whole".to_owned(),
                (None, Repair::Mended(what)) => format!("mended: {what}"),
                (None, Repair::Unreadable(why)) => format!("unreadable: {why}"),
            };
            let readable = error.is_none();
            recovery.files.push(RecoveredFile { path: artifact.path.clone(), outcome, readable });
        }
        let holds_every_frame = format.holds_every_frame();
        let complete = !holds_every_frame || kept <= streams.iter().map(|found| found.stream.frames).sum();
        Some(FoundInSink { streams, holds_every_frame, complete })
    }

    /// Writes a sink's files again from its journals, beside the old ones, and moves them over when they are whole. Returns what there
    /// is to say of it: what the sink refused, and told.
    fn rebuild(&self, manifest: &Manifest, sink: &ManifestSink) -> Result<String, Error> {
        let Self { registry, folder, .. } = *self;
        let journals: Vec<_> = manifest.journals.iter().filter(|journal| journal.sink == sink.id).collect();
        let format = registry.journal().and_then(|factory| factory.format());
        let (Some(format), false) = (format, journals.is_empty()) else {
            return Err(Error::data("no journal was kept").with_hint("set `journal = \"auto\"` in [session]"));
        };
        let factory = registry.find(PluginKind::Sink, &sink.plugin).expect("the caller has found its format");
        let schemas: Vec<_> = sink.inputs.iter().map(|input| Arc::new(input.schema.clone())).collect();
        let options = with_values(&sink.options, &sink.environment, self.variables)?;
        let fresh = folder.join(RECOVERING);
        let inputs = sink.inputs.iter();
        let made = Rewriting {
            factory,
            id: &sink.id,
            options: &options,
            folder: &fresh,
            session: SessionInfo {
                id: manifest.session.clone(),
                pipeline: manifest.pipeline.clone(),
                folder: fresh.clone(),
                started_at: Timestamp(manifest.started_at_ns),
            },
            loss: inputs.map(|input| (input.stream.clone(), self.account.loss_before(input))).collect(),
        }
        .write(&schemas, |writer| {
            for journal in &journals {
                let path = folder.join(&journal.path);
                reading::repair(format.as_ref(), &path)?;
                let mut recording = reading::open(format.as_ref(), &path)?;
                check_journal(journal, sink, recording.streams())?;
                rewriting::replay(recording.as_mut(), |_, batch| writer.write(journal.input, batch))?;
            }
            Ok(())
        })?;
        for name in &made.files {
            rewriting::put(&fresh.join(name), &folder.join(name))?;
        }
        fs::remove_dir_all(&fresh).map_err(|error| Error::io("remove a folder", &fresh, &error))?;
        Ok(told(&made))
    }
}

/// Mends a file. One that was registered and never begun is as whole as it gets.
fn mend(format: &dyn Format, path: &Path) -> Repair {
    if !path.exists() {
        return Repair::Intact;
    }
    reading::repair(format, path).unwrap_or_else(|error| Repair::Unreadable(error.to_string()))
}

/// The recordings of a sink. What it wrote beside them (facts about a recording) is not read back.
fn recordings<'m>(manifest: &'m Manifest, sink: &ManifestSink) -> Vec<&'m ManifestArtifact> {
    let files = manifest.artifacts.iter().filter(|file| file.sink == sink.id);
    files.filter(|file| file.role == ArtifactRole::Recording).collect()
}

/// Frames that can be read from a file.
fn frames(format: &dyn Format, path: &Path) -> u64 {
    read(format, path).map_or(0, |(streams, _)| streams.iter().map(|stream| stream.frames).sum())
}

/// Frames that the journals beside a sink hold.
fn journal_frames(registry: &Registry, folder: &Path, manifest: &Manifest, sink: &ManifestSink) -> u64 {
    let Some(format) = registry.journal().and_then(|factory| factory.format()) else { return 0 };
    let journals = manifest.journals.iter().filter(|journal| journal.sink == sink.id);
    let frames = |path: &Path| {
        // A journal that can't be mended is read as far as it goes.
        drop(reading::repair(format.as_ref(), path));
        frames(format.as_ref(), path)
    };
    journals.map(|journal| frames(&folder.join(&journal.path))).sum()
}

/// What a sink refused and told, behind what was done.
fn told(made: &Rewritten) -> String {
    let counts = [("refused", made.refused), ("only in part", made.partial)];
    let counts = counts.into_iter().filter(|(_, frames)| *frames > 0);
    let counts = counts.map(|(what, frames)| format!("; {frames} frames {what}"));
    counts.chain(made.warnings.iter().map(|warning| format!("; {warning}"))).collect()
}

/// Whether a journal holds what the manifest says: its rows go to a sink that has been promised these columns.
fn check_journal(
    journal: &ManifestJournal,
    sink: &ManifestSink,
    streams: &[Arc<StreamSchema>],
) -> Result<(), Error> {
    let damaged = |why: String| {
        Error::data(format!("the journal {why}: {}", journal.path)).with_hint("it was damaged, or exchanged")
    };
    let Some(input) = sink.inputs.get(journal.input) else {
        return Err(damaged(format!("is of input {}, which \"{}\" does not have", journal.input, sink.id)));
    };
    match streams {
        [stream] if stream.fields() == input.schema.fields() => Ok(()),
        _ => Err(damaged(format!("has other columns than the stream \"{}\"", input.stream))),
    }
}
