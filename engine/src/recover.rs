//! Makes the files of a killed session whole: mends what can be mended, writes the rest again from its journal, and says what is lost.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use serde::Serialize;
use tapedeck_sdk::{Error, Format, PluginKind, Repair, SessionInfo, StreamSchema, Timestamp};

use crate::accounting::{Account, Found, FoundInSink};
use crate::closing::{artifacts, drop_journals, measure};
use crate::found::FoundFile;
use crate::ledger;
use crate::pipeline::{Variables, with_values};
use crate::placing::put;
use crate::reading;
use crate::registry::Registry;
use crate::rewriting::{self, Rewriting, Rewritten};
use crate::session::{
    ArtifactRole, LEDGER, Manifest, ManifestArtifact, ManifestJournal, ManifestSink, RECOVERING, Status,
    check_path,
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
        // What was lost stays lost.
        recovery.exit_code = u8::from(manifest.loss.any() || manifest.is_unknown()) * 3;
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
    let (mut whole, mut uncertain) = (HashSet::new(), account.is_unknown());
    for index in 0..manifest.sinks.len() {
        let mended = mending.sink(&manifest, &manifest.sinks[index]);
        let (files, fresh, found) = mended.map_or((None, Vec::new(), None), |mended| {
            (Some(mended.files), mended.fresh, Some(mended.found))
        });
        let sink = &manifest.sinks[index];
        uncertain |= match &found {
            Some(found) => !found.holds_every_frame,
            None => !recordings(&manifest, sink).is_empty(),
        };
        if found.as_ref().is_some_and(|found| found.complete) {
            whole.insert(sink.id.clone());
        }
        recovery.files.extend(files.into_iter().flatten());
        manifest.artifacts.extend(fresh);
        recovery.streams.extend(account.settle(&mut manifest, index, found.as_ref()));
    }
    account.settle_streams(&mut manifest);
    // A sink without a reader keeps its journal: nobody can tell whether its file is whole.
    let known = |sink: &&ManifestSink| registry.format_of_sink(&sink.plugin).is_some();
    let all_whole = manifest.sinks.iter().filter(known).all(|sink| whole.contains(&sink.id))
        && recovery.files.iter().all(|file| file.readable);
    // What is not known is not taken for none.
    recovery.exit_code = if all_whole { u8::from(manifest.loss.any() || uncertain) * 3 } else { 1 };
    finish(folder, manifest, &whole, all_whole)?;
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
fn finish(
    folder: &Path,
    mut manifest: Manifest,
    whole: &HashSet<String>,
    all_whole: bool,
) -> Result<(), Error> {
    manifest.artifacts.iter_mut().for_each(|artifact| measure(folder, artifact));
    if all_whole {
        manifest.status = Status::Recovered;
        drop_journals(folder, &mut manifest, &whole.iter().map(String::as_str).collect());
    }
    manifest.write(folder)?;
    if all_whole {
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

/// What became of the files of a sink.
struct Mended {
    files: Vec<RecoveredFile>,
    /// Files that the manifest does not have yet.
    fresh: Vec<ManifestArtifact>,
    found: FoundInSink,
}

impl Mending<'_> {
    /// Recovers the files of one sink. `None` without a reader.
    fn sink(&self, manifest: &Manifest, sink: &ManifestSink) -> Option<Mended> {
        let Self { registry, folder, .. } = *self;
        let format = registry.format_of_sink(&sink.plugin)?;
        let artifacts = recordings(manifest, sink);
        let path = |artifact: &&ManifestArtifact| folder.join(&artifact.path);
        let outcomes: Vec<Repair> =
            artifacts.iter().map(|artifact| mend(format.as_ref(), &path(artifact))).collect();
        let mut found: Vec<FoundFile> =
            artifacts.iter().map(|artifact| FoundFile::read(format.as_ref(), &path(artifact))).collect();
        let unreadable = outcomes.iter().any(|outcome| matches!(outcome, Repair::Unreadable(_)));
        // A file may be whole and yet hold less than was safe: one whose writer could only save what it could.
        let kept = journal_frames(registry, folder, manifest, sink);
        let behind = kept > found.iter().map(FoundFile::frames).sum();
        let rebuilt = (unreadable || behind).then(|| self.rebuild(manifest, sink, format.as_ref()));
        let mut artifacts: Vec<ManifestArtifact> = artifacts.into_iter().cloned().collect();
        let listed = artifacts.len();
        if let Some(Ok(rebuilt)) = &rebuilt {
            for artifact in &rebuilt.put {
                let again = FoundFile::read(format.as_ref(), &folder.join(&artifact.path));
                match artifacts.iter().position(|known| known.path == artifact.path) {
                    Some(place) => found[place] = again,
                    None => {
                        artifacts.push(artifact.clone());
                        found.push(again);
                    }
                }
            }
        }
        let mut files = Vec::new();
        for (place, (artifact, found)) in artifacts.iter().zip(&found).enumerate() {
            let outcome = outcome(&rebuilt, outcomes.get(place), artifact, &folder.join(&artifact.path));
            let readable = found.error.is_none();
            files.push(RecoveredFile { path: artifact.path.clone(), outcome, readable });
        }
        let holds_every_frame = format.holds_every_frame();
        let complete = !holds_every_frame || kept <= found.iter().map(FoundFile::frames).sum();
        let complete = complete && files.iter().all(|file| file.readable);
        let streams = artifacts.iter().zip(found).flat_map(|(artifact, found)| {
            found.streams.into_iter().map(|stream| Found { input: artifact.input, stream })
        });
        let found = FoundInSink { streams: streams.collect(), holds_every_frame, complete };
        Some(Mended { files, fresh: artifacts.split_off(listed), found })
    }

    /// Writes a sink's files again from its journals, beside the old ones. Those that hold more than what lies in their place are put there.
    fn rebuild(
        &self,
        manifest: &Manifest,
        sink: &ManifestSink,
        reader: &dyn Format,
    ) -> Result<Rebuilt, Error> {
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
        let mut rebuilt = Rebuilt { put: Vec::new(), told: told(&made) };
        for artifact in artifacts(made.files) {
            let (from, to) = (fresh.join(&artifact.path), folder.join(&artifact.path));
            // The name comes from the manifest's options, which may be somebody else's.
            check_path(folder, Path::new(&artifact.path), true)
                .map_err(|why| Error::data(format!("the sink names a file that {why}: {}", to.display())))?;
            let [ours, theirs] = [&from, &to].map(|path| FoundFile::read(reader, path));
            // A file that can be read and has frames that the journal lacks stays.
            if ours.holds_all_of(&theirs) {
                put(&from, &to)?;
                rebuilt.put.push(artifact);
            }
        }
        fs::remove_dir_all(&fresh).map_err(|error| Error::io("remove a folder", &fresh, &error))?;
        Ok(rebuilt)
    }
}

/// What was written again.
struct Rebuilt {
    put: Vec<ManifestArtifact>,
    /// What there is to say of it: what the sink refused, and told.
    told: String,
}

/// What became of a file, in words. `mended` is what became of one that was listed.
fn outcome(
    rebuilt: &Option<Result<Rebuilt, Error>>,
    mended: Option<&Repair>,
    artifact: &ManifestArtifact,
    path: &Path,
) -> String {
    let is_put = |rebuilt: &Rebuilt| rebuilt.put.iter().any(|put| put.path == artifact.path);
    match (rebuilt, mended) {
        (Some(Ok(rebuilt)), _) if is_put(rebuilt) => {
            format!("written again from the journal{}", rebuilt.told)
        }
        (Some(Err(error)), Some(Repair::Unreadable(_))) => format!("can't be written again: {error}"),
        (_, Some(Repair::Unreadable(why))) => format!("unreadable: {why}"),
        _ if path.symlink_metadata().is_err() => "was not begun".to_owned(),
        (_, Some(Repair::Mended(what))) => format!("mended: {what}"),
        (Some(Err(error)), _) => format!("holds less than its journal, and can't be written again: {error}"),
        _ => "whole".to_owned(),
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

/// Frames that the journals beside a sink hold.
fn journal_frames(registry: &Registry, folder: &Path, manifest: &Manifest, sink: &ManifestSink) -> u64 {
    let Some(format) = registry.journal().and_then(|factory| factory.format()) else { return 0 };
    let journals = manifest.journals.iter().filter(|journal| journal.sink == sink.id);
    let frames = |path: &Path| {
        // A journal that can't be mended is read as far as it goes.
        drop(reading::repair(format.as_ref(), path));
        FoundFile::read(format.as_ref(), path).frames()
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
