//! Makes the files of a killed session whole: mends what can be mended, writes the rest again from its journal, and says what is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tapedeck_sdk::{Error, Format, Loss, PluginKind, Repair, SessionInfo, Timestamp};

use crate::closing::measure;
use crate::inspect::{StreamInspection, has_extension_of, read};
use crate::ledger::{self, LedgerLine};
use crate::registry::Registry;
use crate::rewriting::{self, Rewriting};
use crate::session::{LEDGER, Manifest, ManifestArtifact, ManifestSink, Status};
use crate::stats::guarded;

/// Files are written anew in here and moved over the old ones when they are whole.
const FRESH: &str = ".recovering";

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
    /// 0: nothing is lost. 3: recovered with loss. 1: a file could not be recovered.
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

/// What a sink has of a stream.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredStream {
    /// The sink's id.
    pub sink: String,
    /// The stream's name.
    pub stream: String,
    /// Frames that can be read.
    pub frames: u64,
    /// Frames that the source gave after the last one that can be read.
    pub lost: u64,
    /// The same in seconds, by the stream's rate.
    pub lost_seconds: f64,
}

/// Makes the files of a session whole. Doing it twice does no harm.
///
/// # Errors
/// There is no such session, it still runs, or the disk refuses.
pub fn recover(registry: &Registry, folder: &Path) -> Result<Recovery, Error> {
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
    let lines = ledger::read(&folder.join(LEDGER)).unwrap_or_default();
    let mut needed = Vec::new();
    for index in 0..manifest.sinks.len() {
        let sink = &manifest.sinks[index];
        if !recover_sink(registry, folder, &manifest, sink, &lines, &mut recovery)? {
            needed.push(sink.id.clone());
        }
        let found: Vec<_> =
            recovery.streams.iter().filter(|stream| stream.sink == sink.id).cloned().collect();
        for (input, found) in manifest.sinks[index].inputs.iter_mut().zip(found) {
            (input.written, input.loss.failed) = (found.frames, input.loss.failed + found.lost);
        }
    }
    for (stream, line) in manifest.streams.iter_mut().zip(&lines) {
        stream.frames = line.next_seq - line.late.min(line.next_seq);
        stream.loss = Loss { late: line.late, failed: line.failed, ..stream.loss };
    }
    let lost = recovery.streams.iter().map(|stream| stream.lost).sum::<u64>();
    let late = lines.iter().map(|line| line.late).sum();
    manifest.loss =
        Loss { late, failed: lost + lines.iter().map(|line| line.failed).sum::<u64>(), ..manifest.loss };
    let whole = needed.is_empty() && recovery.files.iter().all(|file| file.readable);
    recovery.exit_code = if whole { u8::from(manifest.loss.any()) * 3 } else { 1 };
    finish(folder, manifest, whole)?;
    Ok(recovery)
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

/// Recovers the files of one sink. False when its journal still holds more than the files do.
fn recover_sink(
    registry: &Registry,
    folder: &Path,
    manifest: &Manifest,
    sink: &ManifestSink,
    lines: &[LedgerLine],
    recovery: &mut Recovery,
) -> Result<bool, Error> {
    let Some(format) =
        registry.find(PluginKind::Sink, &sink.plugin).and_then(|factory| factory.format()).cloned()
    else {
        return Ok(true);
    };
    let artifacts = recordings(manifest, sink, format.as_ref());
    let mut outcomes = Vec::new();
    for artifact in &artifacts {
        let path = folder.join(&artifact.path);
        let repair = guarded(format.name(), "repair", || format.repair(&path));
        outcomes.push(repair.unwrap_or_else(|error| Repair::Unreadable(error.to_string())));
    }
    let unreadable = outcomes.iter().any(|outcome| matches!(outcome, Repair::Unreadable(_)));
    // A file may be whole and yet hold less than was safe: one whose writer could only save what it could.
    let kept = journal_frames(registry, folder, manifest, sink);
    let behind =
        kept > artifacts.iter().map(|artifact| frames(format.as_ref(), &folder.join(&artifact.path))).sum();
    let rebuilt = (unreadable || behind).then(|| rebuild(registry, folder, manifest, sink, lines));
    let mut streams: Vec<StreamInspection> = Vec::new();
    for (artifact, outcome) in artifacts.iter().zip(outcomes) {
        let path = folder.join(&artifact.path);
        let (found, error) = match read(format.as_ref(), &path) {
            Ok((found, error)) => (found, error),
            Err(error) => (Vec::new(), Some(error)),
        };
        streams.extend(found);
        let outcome = match (&rebuilt, outcome) {
            (Some(Ok(())), _) => "written again from the journal".to_owned(),
            (Some(Err(error)), _) => format!("can't be written again: {error}"),
            (None, Repair::Intact) => "whole".to_owned(),
            (None, Repair::Mended(what)) => format!("mended: {what}"),
            (None, Repair::Unreadable(why)) => format!("unreadable: {why}"),
        };
        recovery.files.push(RecoveredFile {
            path: artifact.path.clone(),
            outcome,
            readable: error.is_none(),
        });
    }
    if !format.holds_every_frame() {
        return Ok(true);
    }
    recovery.streams.extend(account(sink, &streams, manifest, lines));
    Ok(kept <= streams.iter().map(|stream| stream.frames).sum())
}

/// The files of a sink that are of its format. What it wrote beside them (facts about a recording) is not read back.
fn recordings<'m>(
    manifest: &'m Manifest,
    sink: &ManifestSink,
    format: &dyn Format,
) -> Vec<&'m ManifestArtifact> {
    let of_sink = || manifest.artifacts.iter().filter(|file| file.sink == sink.id);
    let of_format = |file: &&ManifestArtifact| has_extension_of(Path::new(&file.path), format);
    let found: Vec<_> = of_sink().filter(of_format).collect();
    // The user may have chosen a name without the usual extension.
    if found.is_empty() { of_sink().collect() } else { found }
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
        drop(guarded(format.name(), "repair", || format.repair(path)));
        frames(format.as_ref(), path)
    };
    journals.map(|journal| frames(&folder.join(&journal.path))).sum()
}

/// Compares what can be read with what the sources gave.
fn account(
    sink: &ManifestSink,
    streams: &[StreamInspection],
    manifest: &Manifest,
    lines: &[LedgerLine],
) -> Vec<RecoveredStream> {
    let single = sink.inputs.len() == 1;
    let account = |input: &crate::session::ManifestInput| {
        let of_input = || streams.iter().filter(|found| single || found.schema.name() == input.stream);
        let frames = of_input().map(|found| found.frames).sum();
        let next_seq = of_input().filter_map(|found| found.seq).map(|(_, last)| last + 1).max().unwrap_or(0);
        let given =
            input.origins.iter().filter_map(|&origin| lines.get(origin)).map(|line| line.next_seq).max();
        let lost = given.unwrap_or(0).saturating_sub(next_seq);
        let declared = input.origins.iter().filter_map(|&origin| manifest.streams.get(origin));
        let given_rates = declared.map(|stream| crate::closing::rate(stream.frames, stream.timestamps));
        let rate = of_input().map(|found| found.frames_per_second).chain(given_rates).fold(0.0, f64::max);
        let lost_seconds = if rate > 0.0 { crate::run::count(lost) / rate } else { 0.0 };
        RecoveredStream { sink: sink.id.clone(), stream: input.stream.clone(), frames, lost, lost_seconds }
    };
    sink.inputs.iter().map(account).collect()
}

/// Writes a sink's files again from its journals, beside the old ones, and moves them over when they are whole.
fn rebuild(
    registry: &Registry,
    folder: &Path,
    manifest: &Manifest,
    sink: &ManifestSink,
    lines: &[LedgerLine],
) -> Result<(), Error> {
    let journals: Vec<_> = manifest.journals.iter().filter(|journal| journal.sink == sink.id).collect();
    let format = registry.journal().and_then(|factory| factory.format());
    let (Some(format), false) = (format, journals.is_empty()) else {
        return Err(Error::data("no journal was kept").with_hint("set `journal = \"auto\"` in [session]"));
    };
    let factory = registry.find(PluginKind::Sink, &sink.plugin).expect("the caller has found its format");
    let schemas: Vec<_> = sink.inputs.iter().map(|input| Arc::new(input.schema.clone())).collect();
    let fresh = folder.join(FRESH);
    let inputs = sink.inputs.iter();
    let made = Rewriting {
        factory,
        id: &sink.id,
        options: &sink.options,
        folder: &fresh,
        session: SessionInfo {
            id: manifest.session.clone(),
            pipeline: manifest.pipeline.clone(),
            folder: fresh.clone(),
            started_at: Timestamp(manifest.started_at_ns),
        },
        loss: inputs.map(|input| (input.stream.clone(), loss_of(&input.origins, lines))).collect(),
    }
    .write(&schemas, |writer| {
        for journal in &journals {
            let path = folder.join(&journal.path);
            format.repair(&path)?;
            rewriting::replay(format.open(&path)?.as_mut(), |_, batch| writer.write(journal.input, batch))?;
        }
        Ok(())
    })?;
    for name in made {
        rewriting::put(&fresh.join(&name), &folder.join(&name))?;
    }
    fs::remove_dir_all(&fresh).map_err(|error| Error::io("remove a folder", &fresh, &error))
}

fn loss_of(origins: &[usize], lines: &[LedgerLine]) -> Loss {
    let lines = || origins.iter().filter_map(|&origin| lines.get(origin));
    Loss {
        late: lines().map(|line| line.late).sum(),
        dropped: 0,
        failed: lines().map(|line| line.failed).sum(),
    }
}
