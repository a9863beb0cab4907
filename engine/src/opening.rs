//! Opens a checked pipeline: sources first, then transforms, and only when all of them stand is a folder made and a sink opened.
//! A pipeline that can't run touches no file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tapedeck_sdk::names::glob_matches;
use tapedeck_sdk::{
    Context, Error, ErrorKind, OpenSinkFn, Opener, PluginKind, SessionInfo, Sink, Source, StreamSchema,
    Transform,
};

use crate::clock::{SessionClock, SessionTime};
use crate::diagnostic::Diagnostics;
use crate::layout;
use crate::pipeline::{Input, Journal, Pipeline, QueueConfig};
use crate::registry::Registry;
use crate::remarks::Remarks;
use crate::replay;
use crate::session::{Events, JOURNAL, SessionFolder, StageHost, check_name, free_name};
use crate::stats::{StageStats, guarded};
use crate::stream_names::{check_names, part};

/// What the command line says beyond the pipeline.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Where session folders go, instead of `[session] directory`.
    pub directory: Option<PathBuf>,
    /// The session's id and its folder's name: a letter or digit, then up to 127 letters, digits, `.`, `_` and `-`. Without one it is
    /// made of `name` and the time.
    pub session: Option<String>,
    /// The session's folder, whatever its name, for who takes it away again: counts more than `directory` and `session`.
    pub folder: Option<PathBuf>,
    /// What a session without an id is called: the pipeline file's stem.
    pub name: String,
    /// How long to record, instead of `[session] duration`.
    pub duration: Option<Duration>,
    /// Whether the manifest goes without the files' sizes and hashes, for which each file is read once more at the end: for who takes the
    /// files away and keeps no manifest.
    pub unmeasured: bool,
}

/// Why a session could not begin.
#[derive(Debug)]
pub enum OpenError {
    /// The pipeline asks for what is not there: exit code 2. Nothing was written.
    Pipeline(Box<Diagnostics>),
    /// The session's folder can't be used: exit code 2. Nothing was written.
    Folder(Error),
    /// Something went wrong while files were made: exit code 1.
    Failed(Error),
}

/// An opened stage.
pub(crate) enum Stage {
    Source(Box<dyn Source>),
    Transform(Box<dyn Transform>),
    Sink { sink: Box<dyn Sink>, journal: Option<Box<dyn Sink>> },
}

/// One input of a stage, resolved to one stream of one stage above.
#[derive(Clone)]
pub(crate) struct OpenInput {
    pub(crate) from: usize,
    pub(crate) output: usize,
    pub(crate) queue: QueueConfig,
    pub(crate) schema: Arc<StreamSchema>,
}

/// A stage with everything around it.
pub(crate) struct OpenNode {
    pub(crate) stage: Option<Stage>,
    pub(crate) inputs: Vec<OpenInput>,
    pub(crate) outputs: Vec<Arc<StreamSchema>>,
    /// What an input calls the outputs: the stream's name without the stage's.
    parts: HashMap<String, Vec<usize>>,
    pub(crate) host: Arc<StageHost>,
    pub(crate) stats: Arc<StageStats>,
}

/// A pipeline whose stages are open and that has a folder.
pub(crate) struct Opened {
    pub(crate) nodes: Vec<OpenNode>,
    pub(crate) clock: SessionClock,
    pub(crate) time: SessionTime,
    pub(crate) events: Arc<Events>,
    pub(crate) remarks: Arc<Remarks>,
    /// Whether a recording is played as fast as possible: nothing then depends on the time that passes.
    pub(crate) untimed: bool,
    pub(crate) info: SessionInfo,
    pub(crate) folder: Arc<OnceLock<SessionFolder>>,
}

impl Opened {
    /// The session's folder.
    pub(crate) fn folder(&self) -> &SessionFolder {
        self.folder.get().expect("the folder was made before the sinks were opened")
    }
}

/// Opens every stage.
pub(crate) fn open(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &RunOptions,
) -> Result<Opened, OpenError> {
    let clock = SessionClock::anchored_now();
    let path = folder_path(pipeline, options, &clock).map_err(OpenError::Folder)?;
    // Where somebody else was quicker, `make_folder` takes the next name.
    if !(is_named_by_us(options) && path.symlink_metadata().is_ok()) {
        SessionFolder::check(&path).map_err(OpenError::Folder)?;
    }
    let id = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let (text, started_at) = (pipeline.text.clone(), clock.anchor());
    let mut info = SessionInfo { id, pipeline: text, folder: path.clone(), started_at };
    let replays = replays(pipeline, registry);
    if pipeline.session.as_recorded {
        let recorded =
            replays.first().and_then(|(_, options)| replay::recorded_session(options.path.as_slice()));
        let recorded = recorded.ok_or_else(|| {
            let error = Error::environment("`as_recorded` takes a replay of a session's folder");
            OpenError::Folder(error.with_hint("leave it out, or name a folder such as recordings/<session>"))
        })?;
        info = SessionInfo { folder: info.folder, ..recorded };
    }
    let untimed = replays.iter().any(|(_, options)| options.timing == replay::Timing::None);
    let time = SessionTime::new(clock);
    let (events, remarks) = (Arc::new(Events::new(time.clone())), Arc::default());
    let folder = Arc::new(OnceLock::new());
    let nodes =
        pipeline.nodes.iter().map(|node| blank(&node.id, &time, &folder, &events, &remarks)).collect();
    let opened = Opened { nodes, clock, time, events, remarks, untimed, info, folder };
    let mut opening = Opening { pipeline, registry, opened };
    let order = layout::topological(pipeline);
    let of = |kind: PluginKind| order.iter().copied().filter(move |&node| pipeline.nodes[node].kind == kind);
    for node in of(PluginKind::Source).chain(of(PluginKind::Transform)) {
        opening.open_node(node).map_err(|error| refused(pipeline, node, &error))?;
    }
    for node in of(PluginKind::Sink) {
        opening.check_sink(node).map_err(|error| refused(pipeline, node, &error))?;
    }
    let made = make_folder(&mut opening.opened, options).map_err(OpenError::Folder)?;
    let path = opening.opened.info.folder.clone();
    opening.opened.folder.set(made).expect("the folder is set here only");
    for node in of(PluginKind::Sink) {
        if let Err(error) = opening.open_sink(node, registry) {
            drop(opening);
            return Err(undo(pipeline, node, &path, error));
        }
    }
    Ok(opening.opened)
}

/// A sink could not be opened: what was made for this session goes, nothing was recorded yet.
fn undo(pipeline: &Pipeline, node: usize, folder: &Path, error: Error) -> OpenError {
    drop(std::fs::remove_dir_all(folder));
    match error.kind {
        ErrorKind::Io | ErrorKind::Plugin => OpenError::Failed(error),
        _ => refused(pipeline, node, &error),
    }
}

/// What a stage says against its options or inputs, at its place in the pipeline's text.
fn refused(pipeline: &Pipeline, node: usize, error: &Error) -> OpenError {
    OpenError::Pipeline(Box::new(pipeline.diagnose(node, error)))
}

fn folder_path(pipeline: &Pipeline, options: &RunOptions, clock: &SessionClock) -> Result<PathBuf, Error> {
    if let Some(folder) = &options.folder {
        return Ok(folder.clone());
    }
    let directory = options.directory.as_ref().unwrap_or(&pipeline.session.directory);
    if let Some(session) = &options.session {
        check_name(session)?;
        return Ok(directory.join(session));
    }
    Ok(free_name(directory, &options.name, clock))
}

fn is_named_by_us(options: &RunOptions) -> bool {
    options.folder.is_none() && options.session.is_none()
}

/// Makes the session's folder. One that was named by us takes the next free name, should somebody else have been quicker.
fn make_folder(opened: &mut Opened, options: &RunOptions) -> Result<SessionFolder, Error> {
    let ours = is_named_by_us(options);
    loop {
        match SessionFolder::create(&opened.info.folder) {
            Err(_) if ours && opened.info.folder.symlink_metadata().is_ok() => {
                let directory = opened.info.folder.parent().unwrap_or(Path::new(".")).to_owned();
                opened.info.folder = free_name(&directory, &options.name, &opened.clock);
                let name = opened.info.folder.file_name();
                opened.info.id = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            }
            made => return made,
        }
    }
}

fn blank(
    id: &str,
    time: &SessionTime,
    folder: &Arc<OnceLock<SessionFolder>>,
    events: &Arc<Events>,
    remarks: &Arc<Remarks>,
) -> OpenNode {
    let stats = StageStats::new(id, remarks);
    let host = StageHost {
        time: time.clone(),
        stats: stats.clone(),
        events: events.clone(),
        ears: Arc::default(),
        folder: folder.clone(),
        below: None,
        accounts: OnceLock::new(),
        marks: OnceLock::new(),
    };
    OpenNode {
        stage: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        parts: HashMap::new(),
        host: Arc::new(host),
        stats,
    }
}

/// The replays of a pipeline, with their options.
fn replays(pipeline: &Pipeline, registry: &Registry) -> Vec<(usize, replay::ReplayOptions)> {
    let nodes = pipeline.nodes.iter().enumerate().filter(|(_, node)| registry.is_replay(&node.factory));
    // Options that can't be read are told when the replay is opened.
    nodes
        .filter_map(|(node, declared)| Some((node, serde_json::from_value(declared.options.clone()).ok()?)))
        .collect()
}

struct Opening<'a> {
    pipeline: &'a Pipeline,
    registry: &'a Registry,
    opened: Opened,
}

impl Opening<'_> {
    fn context(&self, node: usize) -> Context {
        let declared = &self.pipeline.nodes[node];
        Context {
            id: declared.id.clone(),
            session: self.opened.info.clone(),
            flush_interval: self.pipeline.session.flush_interval,
            rate_hz: declared.rate_hz,
            host: self.opened.nodes[node].host.clone(),
        }
    }

    /// Opens a source or a transform.
    fn open_node(&mut self, node: usize) -> Result<(), Error> {
        let declared = &self.pipeline.nodes[node];
        let context = self.context(node);
        let (stage, outputs) = match declared.factory.opener() {
            Opener::Source(_) if self.registry.is_replay(&declared.factory) => {
                let (time, stats) = (&self.opened.time, &self.opened.nodes[node].stats);
                let open = || replay::open(self.registry, &declared.options, &declared.id, time, stats);
                let source = guarded(&declared.id, "open", open)?;
                let outputs = tapedeck_sdk::Source::streams(&source).to_vec();
                (Stage::Source(Box::new(source)), outputs)
            }
            Opener::Source(open) => {
                let source = guarded(&declared.id, "open", || open(&declared.options, context))?;
                let outputs = source.streams().to_vec();
                (Stage::Source(source), outputs)
            }
            Opener::Transform(open) => {
                let inputs = self.resolve(node)?;
                let schemas: Vec<_> = inputs.iter().map(|input| input.schema.clone()).collect();
                self.opened.nodes[node].inputs = inputs;
                let mut transform = guarded(&declared.id, "open", || open(&declared.options, context))?;
                let outputs = guarded(&declared.id, "streams", || transform.streams(&schemas))?;
                (Stage::Transform(transform), outputs)
            }
            Opener::Sink(_) => unreachable!("sinks are opened by open_sink"),
        };
        if !declared.factory.descriptor().recorded {
            check_names(&declared.id, &outputs)?;
        }
        let recorded = declared.factory.descriptor().recorded;
        let name = |schema: &Arc<StreamSchema>| part(&declared.id, recorded, schema.name()).to_owned();
        let open = &mut self.opened.nodes[node];
        for (output, schema) in outputs.iter().enumerate() {
            open.parts.entry(name(schema)).or_default().push(output);
        }
        (open.stage, open.outputs) = (Some(stage), outputs);
        Ok(())
    }

    /// Which streams a stage reads. The file named stages and patterns; now the streams are known.
    fn resolve(&self, node: usize) -> Result<Vec<OpenInput>, Error> {
        let mut found: Vec<OpenInput> = Vec::new();
        let mut known = HashSet::new();
        let declared = &self.pipeline.nodes[node].inputs;
        for entry in declared.chunk_by(|one, other| one.span == other.span) {
            // One entry of the file: a glob on ids stands for several stages, of which some may have no such stream.
            let mut matched = false;
            for input in entry {
                for (output, schema) in self.matching(input) {
                    matched = true;
                    if known.insert((input.from, output)) {
                        found.push(OpenInput { from: input.from, output, queue: input.queue, schema });
                    }
                }
            }
            if !matched && let Some(input) = entry.first() {
                return Err(self.no_such_stream(input));
            }
        }
        Ok(found)
    }

    /// The streams of the stage above that an input names.
    fn matching(&self, input: &Input) -> Vec<(usize, Arc<StreamSchema>)> {
        let above = &self.opened.nodes[input.from];
        let mut found: Vec<usize> = match (&input.stream, input.stream_name()) {
            (None, _) => (0..above.outputs.len()).collect(),
            (_, Some(name)) => above.parts.get(name).cloned().unwrap_or_default(),
            (Some(glob), None) => {
                let named = above.parts.iter().filter(|(part, _)| glob_matches(glob, part));
                named.flat_map(|(_, outputs)| outputs.clone()).collect()
            }
        };
        found.sort_unstable();
        found.into_iter().map(|output| (output, above.outputs[output].clone())).collect()
    }

    fn no_such_stream(&self, input: &Input) -> Error {
        let from = &self.pipeline.nodes[input.from].id;
        let names: Vec<&str> =
            self.opened.nodes[input.from].outputs.iter().map(|schema| schema.name()).collect();
        let wanted = input.stream.as_deref().unwrap_or("*");
        Error::option(["inputs"], format!("no stream of \"{from}\" is called \"{from}.{wanted}\""))
            .with_hint(format!("its streams are {}", names.join(", ")))
    }

    /// Whether a sink takes what comes, before any file is made.
    fn check_sink(&mut self, node: usize) -> Result<(), Error> {
        let inputs = self.resolve(node)?;
        let declared = &self.pipeline.nodes[node];
        let takes = &declared.factory.descriptor().takes;
        if let Some(input) = inputs.iter().find(|input| !takes.contains(&input.schema.kind())) {
            let kinds: Vec<&str> = takes.iter().map(|kind| kind.name()).collect();
            let (stream, kind) = (input.schema.name(), input.schema.kind());
            let plugin = &declared.factory.descriptor().name;
            return Err(Error::option(
                ["inputs"],
                format!("`{plugin}` can't take \"{stream}\", a stream of kind {kind}"),
            )
            .with_hint(format!("it takes streams of kind {}", kinds.join(", "))));
        }
        self.opened.nodes[node].inputs = inputs;
        Ok(())
    }

    fn open_sink(&mut self, node: usize, registry: &Registry) -> Result<(), Error> {
        let declared = &self.pipeline.nodes[node];
        let Opener::Sink(open) = declared.factory.opener() else { unreachable!("only sinks come here") };
        let schemas: Vec<_> =
            self.opened.nodes[node].inputs.iter().map(|input| input.schema.clone()).collect();
        let sink = guarded(&declared.id, "open", || open(&declared.options, &schemas, self.context(node)))?;
        let wanted =
            declared.factory.descriptor().needs_journal && self.pipeline.session.journal != Journal::Off;
        let journal = match registry.journal().filter(|_| wanted).map(|factory| factory.opener()) {
            Some(Opener::Sink(open)) => Some(self.open_journal(node, open, &schemas)?),
            _ => None,
        };
        self.opened.nodes[node].stage = Some(Stage::Sink { sink, journal });
        Ok(())
    }

    fn open_journal(
        &self,
        node: usize,
        open: &OpenSinkFn,
        schemas: &[Arc<StreamSchema>],
    ) -> Result<Box<dyn Sink>, Error> {
        let own = &self.opened.nodes[node];
        let host = StageHost {
            time: self.opened.time.clone(),
            stats: own.stats.clone(),
            events: self.opened.events.clone(),
            ears: Arc::default(),
            folder: self.opened.folder.clone(),
            below: Some(PathBuf::from(JOURNAL)),
            accounts: OnceLock::new(),
            marks: OnceLock::new(),
        };
        let context = Context { host: Arc::new(host), ..self.context(node) };
        guarded(&own.stats.id, "open the journal", || open(&serde_json::json!({}), schemas, context))
    }
}
