//! What is written down of a session: the manifest at its start and its end, and the report.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use tapedeck_sdk::{Error, Loss, Role, Timestamp};

use crate::feed::FeedTimes;
use crate::opening::Opened;
use crate::pipeline::{Journal, Pipeline, without_values};
use crate::report::{Percentiles, Report, SinkReport, StageReport, StreamReport};
use crate::session::{
    Artifact, ArtifactRole, EndedBy, JOURNAL, LEDGER, LedgerCounts, Manifest, ManifestArtifact,
    ManifestInput, ManifestJournal, ManifestSink, ManifestStream, SessionFolder, Status, hash_file,
};
use crate::sink_stage::FinishedSink;
use crate::stats::{InputStats, StreamStats, count};
use crate::watch::{Parts, Watch};
use crate::wiring::Wired;

/// The manifest of a session that begins.
pub(crate) fn first_manifest(pipeline: &Pipeline, opened: &Opened, wired: &Wired) -> Manifest {
    let mut sinks = sinks(pipeline, opened, &wired.parts.sinks, &wired.parts.streams);
    for (sink, counts) in sinks.iter_mut().zip(&wired.counts.sinks) {
        sink.inputs.iter_mut().zip(counts).for_each(|(input, counts)| input.counts = Some(counts.clone()));
    }
    let mut streams = streams(&wired.parts.streams);
    for (stream, counts) in &wired.counts.sources {
        streams[*stream].counts = Some(counts.clone());
    }
    Manifest {
        version: 1,
        session: opened.info.id.clone(),
        status: Status::Recording,
        tapedeck: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: opened.info.started_at.to_iso8601(),
        started_at_ns: opened.info.started_at.0,
        ended_at: None,
        ended_at_ns: None,
        ended_by: None,
        loss: Loss::default(),
        streams,
        sinks,
        artifacts: recordings(opened.folder()),
        journals: journals(pipeline, opened.folder()),
        events: Vec::new(),
        events_left_out: 0,
        pipeline: opened.info.pipeline.clone(),
    }
}

fn streams(streams: &[Arc<StreamStats>]) -> Vec<ManifestStream> {
    let manifest = |stream: &Arc<StreamStats>| {
        let frames = stream.frames.load(Ordering::Relaxed);
        let [first, last] =
            [&stream.first_timestamp, &stream.last_timestamp].map(|time| time.load(Ordering::Relaxed));
        ManifestStream {
            name: stream.schema.name().to_owned(),
            source: stream.source.clone(),
            frames,
            bytes: stream.bytes.load(Ordering::Relaxed),
            loss: Loss {
                late: stream.late.load(Ordering::Relaxed),
                dropped: stream.dropped.load(Ordering::Relaxed),
                failed: stream.failed.load(Ordering::Relaxed),
                partial: stream.partial.load(Ordering::Relaxed),
            },
            absent: stream.absent.load(Ordering::Relaxed),
            timestamps: (frames > 0).then_some((first, last)),
            skipped: stream.skipped.load(Ordering::Relaxed),
            unknown: false,
            counts: None,
            schema: (*stream.schema).clone(),
        }
    };
    streams.iter().map(manifest).collect()
}

fn sinks(
    pipeline: &Pipeline,
    opened: &Opened,
    sinks: &[(usize, Vec<Arc<InputStats>>)],
    streams: &[Arc<StreamStats>],
) -> Vec<ManifestSink> {
    let manifest = |(node, inputs): &(usize, Vec<Arc<InputStats>>)| {
        let declared = &pipeline.nodes[*node];
        let open = &opened.nodes[*node];
        let inputs = inputs.iter().zip(&open.inputs).map(|(stats, input)| ManifestInput {
            stream: stats.stream.clone(),
            origins: stats.origins.clone(),
            schema: (*input.schema).clone(),
            written: stats.written.load(Ordering::Relaxed),
            loss: stats.loss(streams),
            unknown: false,
            counts: None,
        });
        ManifestSink {
            id: declared.id.clone(),
            plugin: declared.factory.descriptor().name.clone(),
            options: without_values(&declared.options, &declared.references),
            environment: declared.references.clone(),
            inputs: inputs.collect(),
            error: open.stats.error(),
        }
    };
    sinks.iter().map(manifest).collect()
}

/// The files that stages have registered, journals left out.
pub(crate) fn recordings(folder: &SessionFolder) -> Vec<ManifestArtifact> {
    artifacts(folder.artifacts().into_iter().filter(|(_, artifact)| !artifact.is_journal))
}

/// Files that were registered, as the manifest has them.
pub(crate) fn artifacts(files: impl IntoIterator<Item = (PathBuf, Artifact)>) -> Vec<ManifestArtifact> {
    let manifest = |(path, artifact): (PathBuf, Artifact)| {
        let (role, input) = match artifact.role {
            Role::Recording => (ArtifactRole::Recording, None),
            Role::RecordingOf(input) => (ArtifactRole::Recording, Some(input)),
            Role::Beside => (ArtifactRole::Beside, None),
        };
        let path = path.to_string_lossy().into_owned();
        ManifestArtifact { path, sink: artifact.stage, role, input, bytes: None, sha256: None }
    };
    files.into_iter().map(manifest).collect()
}

/// The journals, one for each input of a sink that needs them.
fn journals(pipeline: &Pipeline, folder: &SessionFolder) -> Vec<ManifestJournal> {
    let journal = |(path, artifact): (PathBuf, Artifact)| ManifestJournal {
        path: path.to_string_lossy().into_owned(),
        sink: artifact.stage,
        // A sink of one input has one journal, which is of all its inputs.
        input: if let Role::RecordingOf(input) = artifact.role { input } else { 0 },
        keep: pipeline.session.journal == Journal::Keep,
    };
    folder.artifacts().into_iter().filter(|(_, artifact)| artifact.is_journal).map(journal).collect()
}

/// What the threads of a session left behind, by node.
pub(crate) struct Ended {
    pub(crate) feeds: Vec<(usize, FeedTimes)>,
    pub(crate) sinks: Vec<(usize, Option<FinishedSink>)>,
    pub(crate) by: EndedBy,
    pub(crate) seconds: f64,
    pub(crate) wall_seconds: f64,
    /// Whether the files are left as they are.
    pub(crate) unmeasured: bool,
}

/// Writes down what became of a session whose threads have ended. `manifest` is the one that stands.
pub(crate) fn close(
    pipeline: &Pipeline,
    opened: &Opened,
    mut manifest: Manifest,
    watch: &Watch,
    ended: &Ended,
) -> Result<Report, Error> {
    let (folder, parts) = (opened.folder().path().to_owned(), watch.parts());
    let is_whole = |finished: &Option<FinishedSink>| finished.as_ref().is_some_and(|sink| sink.whole);
    let whole = ended.sinks.iter().filter(|(_, finished)| is_whole(finished));
    let whole: HashSet<&str> = whole.map(|(node, _)| pipeline.nodes[*node].id.as_str()).collect();
    let all_whole = parts.sinks.iter().all(|(node, _)| whole.contains(pipeline.nodes[*node].id.as_str()));
    manifest.status = if all_whole { Status::Complete } else { Status::Interrupted };
    // A session that is as recorded ends when its recording did.
    let as_recorded = pipeline.session.as_recorded;
    let end = if as_recorded { opened.time.now() } else { opened.clock.now() };
    (manifest.ended_at, manifest.ended_at_ns, manifest.ended_by) =
        (Some(end.to_iso8601()), Some(end.0), Some(ended.by));
    manifest.loss = watch.total_loss();
    let sources: Vec<_> = manifest.streams.iter().map(|stream| stream.counts.clone()).collect();
    manifest.streams = streams(&parts.streams);
    let counts: Vec<Vec<_>> = manifest.sinks.iter().map(counts_of).collect();
    manifest.sinks = sinks(pipeline, opened, &parts.sinks, &parts.streams);
    if !all_whole {
        // There is something left to recover.
        manifest.streams.iter_mut().zip(sources).for_each(|(stream, counts)| stream.counts = counts);
        for (sink, counts) in manifest.sinks.iter_mut().zip(counts) {
            sink.inputs.iter_mut().zip(counts).for_each(|(input, counts)| input.counts = counts);
        }
    }
    opened.events.write(&mut manifest);
    manifest.artifacts = recordings(opened.folder());
    if !ended.unmeasured {
        manifest.artifacts.iter_mut().for_each(|artifact| measure(&folder, artifact));
    }
    drop_journals(&folder, &mut manifest, &whole);
    let report = report(opened, parts, ended, &manifest, &folder);
    manifest.write(&folder)?;
    if manifest.status == Status::Complete {
        // The manifest says it all now. A ledger that stays behind does no harm.
        drop(fs::remove_file(folder.join(LEDGER)));
    }
    Ok(report)
}

fn counts_of(sink: &ManifestSink) -> Vec<Option<LedgerCounts>> {
    sink.inputs.iter().map(|input| input.counts.clone()).collect()
}

/// Fills in size and hash of a file; a sink may have registered one that it never made.
pub(crate) fn measure(folder: &Path, artifact: &mut ManifestArtifact) {
    if let Ok((bytes, sha256)) = hash_file(&folder.join(&artifact.path)) {
        (artifact.bytes, artifact.sha256) = (Some(bytes), Some(sha256));
    }
}

/// A journal is there for a kill: when its sink's file is whole, it goes (unless the pipeline keeps it).
pub(crate) fn drop_journals(folder: &Path, manifest: &mut Manifest, whole: &HashSet<&str>) {
    manifest.journals.retain(|journal| {
        let goes = !journal.keep && whole.contains(&*journal.sink);
        !(goes && fs::remove_file(folder.join(&journal.path)).is_ok())
    });
    if manifest.journals.is_empty() {
        // Fails where there is none, or where somebody else put a file: both are fine.
        drop(fs::remove_dir(folder.join(JOURNAL)));
    }
}

fn report(opened: &Opened, parts: &Parts, ended: &Ended, manifest: &Manifest, folder: &Path) -> Report {
    let loss = manifest.loss;
    let finished: HashMap<usize, &FinishedSink> =
        ended.sinks.iter().filter_map(|(node, finished)| Some((*node, finished.as_ref()?))).collect();
    let mut files: HashMap<&str, Vec<(String, u64)>> = HashMap::new();
    for artifact in &manifest.artifacts {
        let file = (artifact.path.clone(), artifact.bytes.unwrap_or(0));
        files.entry(&artifact.sink).or_default().push(file);
    }
    let sinks = parts.sinks.iter().zip(&manifest.sinks);
    let sinks: Vec<SinkReport> = sinks
        .map(|((node, _), sink)| {
            let files = files.remove(sink.id.as_str()).unwrap_or_default();
            sink_report(sink, finished.get(node).copied(), files)
        })
        .collect();
    let stages = parts.stages.iter().filter_map(|stage| {
        let remarks = stage.remarks();
        let error = stage.error();
        (error.is_some() || !remarks.is_empty()).then(|| StageReport {
            id: stage.id.clone(),
            error,
            ended: stage.ended(),
            remarks,
        })
    });
    Report {
        session: manifest.session.clone(),
        folder: folder.to_owned(),
        status: manifest.status,
        ended_by: ended.by,
        duration_seconds: ended.seconds,
        wall_seconds: ended.wall_seconds,
        streams: stream_reports(opened, ended, manifest),
        sinks,
        stages: stages.collect(),
        loss,
    }
}

fn stream_reports(opened: &Opened, ended: &Ended, manifest: &Manifest) -> Vec<StreamReport> {
    let feeds = ended.feeds.iter();
    let feeds: HashMap<&str, &FeedTimes> =
        feeds.map(|(node, times)| (opened.nodes[*node].stats.id.as_str(), times)).collect();
    let times = |source: &str, pick: fn(&FeedTimes) -> &Histogram<u64>| {
        feeds.get(source).and_then(|times| Percentiles::of(pick(times)))
    };
    let report = |stream: &ManifestStream| StreamReport {
        name: stream.name.clone(),
        frames: stream.frames,
        frames_per_second: rate(stream.frames, stream.timestamps),
        bytes: stream.bytes,
        late: stream.loss.late,
        absent: stream.absent,
        failed: stream.loss.failed,
        partial: stream.loss.partial,
        tick_lateness: times(&stream.source, |times| &times.lateness),
        call: times(&stream.source, |times| &times.busy),
    };
    manifest.streams.iter().map(report).collect()
}

/// Frames a second between the first and the last.
pub(crate) fn rate(frames: u64, timestamps: Option<(i64, i64)>) -> f64 {
    let Some((first, last)) = timestamps else { return 0.0 };
    let seconds = Timestamp(last).since(Timestamp(first)).as_secs_f64();
    if seconds > 0.0 { count(frames.saturating_sub(1)) / seconds } else { 0.0 }
}

fn sink_report(
    sink: &ManifestSink,
    finished: Option<&FinishedSink>,
    files: Vec<(String, u64)>,
) -> SinkReport {
    SinkReport {
        id: sink.id.clone(),
        plugin: sink.plugin.clone(),
        frames: sink.inputs.iter().map(|input| input.written).sum(),
        loss: sink.inputs.iter().fold(Loss::default(), |loss, input| loss + input.loss),
        latency: finished.and_then(|finished| Percentiles::of(&finished.latency)),
        call: finished.and_then(|finished| Percentiles::of(&finished.busy)),
        files,
        error: sink.error.clone(),
    }
}
