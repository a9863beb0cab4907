//! From recordings to another format: a reel's frames, written by the sink whose files have that extension. Trims, merges and filters
//! on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use serde_json::Value;
use tapedeck_sdk::names::has_extension;
use tapedeck_sdk::{Batch, Error, Factory, PluginKind, SessionInfo, StreamSchema, Timestamp};

use crate::placing::move_new;
use crate::recorded;
use crate::registry::Registry;
use crate::replay::{Reel, Window};
use crate::rewriting::{Rewriting, Rewritten};
use crate::session::Artifact;
use crate::threads;

/// How many batches are read ahead of their writing.
const BATCHES_AHEAD_MAX: usize = 4;

/// What is to be converted.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Recordings: files, sessions' folders, folders that are a format. Several are merged in the order of time.
    pub from: Vec<PathBuf>,
    /// Names or patterns of the streams that are wanted; none: all.
    pub streams: Vec<String>,
    /// The part that is wanted.
    pub window: Window,
    /// Added to every time, in ns.
    pub shift_ns: i64,
    /// The file to make.
    pub to: PathBuf,
    /// The options of the sink that makes it.
    pub options: Value,
}

/// What was converted: `frames` is `written`, `left_out` and `refused` together.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conversion {
    /// The files that were made.
    pub files: Vec<PathBuf>,
    /// How many frames were read.
    pub frames: u64,
    /// How many of them are in the files.
    pub written: u64,
    /// How many of these have a value missing that was there.
    pub partial: u64,
    /// How many the sink left out by intent: its options or its format say so.
    pub left_out: u64,
    /// How many the sink could not take.
    pub refused: u64,
    /// What the reel and the sink told.
    pub warnings: Vec<String>,
    /// Why recordings could not be read to their end. What comes before is in the files.
    pub damage: Vec<Error>,
}

impl Conversion {
    /// Whether something is missing that is not left out by intent.
    #[must_use]
    pub fn has_loss(&self) -> bool {
        self.refused + self.partial > 0 || !self.damage.is_empty()
    }
}

/// Converts recordings to the file `to`, whose extension says which sink writes it.
///
/// Several streams give several files if the sink writes one a stream; they are named as the sink names them, and lie beside `to`.
/// What can be read of a damaged recording is converted. Nothing is made if anything else fails.
///
/// # Errors
/// A file of which nothing can be read, an extension that no sink writes, a file that is already there, frames that the format can't hold.
pub fn convert(registry: &Registry, wish: &Wish) -> Result<Conversion, Error> {
    let to = wish.to.as_path();
    let factory = sink_of(registry, to)?;
    if to.symlink_metadata().is_ok() {
        return Err(already_there(to));
    }
    let (Some(name), Some(stem)) = (to.file_name(), to.file_stem()) else {
        return Err(Error::environment(format!("\"{}\" is no file name", to.display())));
    };
    let mut reel = Reel::open(registry, &wish.from, &wish.streams)?;
    reel.take_damaged();
    reel.show(wish.window)?;
    reel.shift(wish.shift_ns);
    let inputs = reel.streams().to_vec();
    refuse_kinds(factory, &inputs)?;
    let mut options = with_path(factory, &wish.options, name.to_string_lossy().into_owned());
    recorded::keep(factory, &mut options);
    factory.check(&options)?;
    let above = to.parent().unwrap_or(Path::new(""));
    let folder = above.join(format!(".{}.converting", name.to_string_lossy()));
    let session = SessionInfo {
        id: stem.to_string_lossy().into_owned(),
        pipeline: String::new(),
        folder: folder.clone(),
        started_at: Timestamp(0),
    };
    let id = session.id.clone();
    let rewriting = Rewriting {
        factory: factory.as_ref(),
        id: &id,
        options: &options,
        folder: &folder,
        session,
        loss: Vec::new(),
    };
    let done = write(rewriting, &mut reel).and_then(|(made, frames)| {
        Ok(Conversion {
            files: place(&made.files, &folder, above)?,
            frames,
            written: frames.saturating_sub(made.left_out + made.refused),
            partial: made.partial,
            left_out: made.left_out,
            refused: made.refused,
            warnings: reel.remarks().iter().cloned().chain(made.warnings).collect(),
            damage: reel.damage().to_vec(),
        })
    });
    // What is left in it is nothing that was asked for.
    drop(std::fs::remove_dir_all(&folder));
    done
}

/// Writes everything that can be read, and counts the frames. Reads on another thread than it writes.
fn write(rewriting: Rewriting<'_>, reel: &mut Reel) -> Result<(Rewritten, u64), Error> {
    let inputs = reel.streams().to_vec();
    let mut frames = 0;
    let (sender, receiver) = bounded(BATCHES_AHEAD_MAX);
    // The writer ends when the sender is gone.
    let read = move || read_all(reel, &sender);
    let made = threads::beside("reader", read, || {
        rewriting.write(&inputs, |writer| {
            for read in receiver {
                let (stream, batch): (usize, Batch) = read?;
                frames += batch.rows() as u64;
                writer.write(stream, batch)?;
            }
            Ok(())
        })
    });
    let made = made.map_err(|error| Error::environment(format!("can't start a thread: {error}")))??;
    Ok((made, frames))
}

/// Reads until the end or until nobody wants more. A recording of which nothing can be read is an error.
fn read_all(reel: &mut Reel, sender: &Sender<Result<(usize, Batch), Error>>) {
    let mut any = false;
    let last = loop {
        match reel.read() {
            Ok(Some(read)) => {
                any = true;
                if sender.send(Ok(read)).is_err() {
                    return;
                }
            }
            Ok(None) => break reel.damage().first().filter(|_| !any).cloned(),
            Err(error) => break Some(error),
        }
    };
    // The writer may have given up.
    _ = last.map(|error| sender.send(Err(error)));
}

/// Whether the sink takes such streams.
fn refuse_kinds(factory: &Factory, inputs: &[Arc<StreamSchema>]) -> Result<(), Error> {
    let takes = &factory.descriptor().takes;
    let Some(refused) = inputs.iter().find(|input| !takes.contains(&input.kind())) else { return Ok(()) };
    let kinds: Vec<&str> = takes.iter().map(|kind| kind.name()).collect();
    let (plugin, stream, kind) = (&factory.descriptor().name, refused.name(), refused.kind());
    Err(Error::data(format!("`{plugin}` can't take \"{stream}\", a stream of kind {kind}"))
        .with_hint(format!("it takes streams of kind {}; choose others with --stream", kinds.join(", "))))
}

/// Moves what was made beside each other; nothing is written over.
fn place(made: &[(PathBuf, Artifact)], folder: &Path, above: &Path) -> Result<Vec<PathBuf>, Error> {
    let places: Vec<PathBuf> = made.iter().map(|(name, _)| above.join(name)).collect();
    if let Some(taken) = places.iter().find(|place| place.symlink_metadata().is_ok()) {
        return Err(already_there(taken));
    }
    for (count, ((name, _), place)) in made.iter().zip(&places).enumerate() {
        let made_folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = made_folder.and_then(|()| move_new(&folder.join(name), place)) {
            // All or nothing: those that are in their places go back to the others.
            for ((name, _), place) in made.iter().zip(&places).take(count) {
                drop(move_new(place, &folder.join(name)));
            }
            return Err(match error.kind() {
                std::io::ErrorKind::AlreadyExists => already_there(place),
                _ => Error::io("put a file in its place", place, &error),
            });
        }
    }
    Ok(places)
}

fn already_there(path: &Path) -> Error {
    Error::environment(format!("the file is already there: {}", path.display()))
        .with_hint("give another name, or remove the file")
}

/// The sink that writes files with the extension of `to`.
///
/// # Errors
/// None does.
pub fn sink_of<'r>(registry: &'r Registry, to: &Path) -> Result<&'r Arc<Factory>, Error> {
    let writes = |factory: &&Arc<Factory>| {
        let mut read = factory.format().into_iter().flat_map(|format| format.extensions());
        let own = factory.descriptor().extension.as_deref();
        factory.descriptor().kind == PluginKind::Sink
            && (read.any(|extension| has_extension(to, extension))
                || own.is_some_and(|own| has_extension(to, own)))
    };
    registry.factories().iter().find(writes).ok_or_else(|| {
        let known: Vec<&str> = registry
            .factories()
            .iter()
            .filter_map(|factory| factory.descriptor().extension.as_deref())
            .collect();
        let extension = to.extension().unwrap_or_default().to_string_lossy();
        Error::environment(format!(
            "no sink writes files with the extension \"{extension}\": {}",
            to.display()
        ))
        .with_hint(format!("known extensions: {}", known.join(", ")))
    })
}

/// Has the sink make the file of that name, where it can be told.
fn with_path(factory: &Factory, options: &Value, name: String) -> Value {
    let mut options = options.clone();
    let takes = factory.descriptor().options.pointer("/properties/path").is_some();
    if let Some(table) = options.as_object_mut().filter(|_| takes) {
        table.entry("path").or_insert(Value::from(name));
    }
    options
}
