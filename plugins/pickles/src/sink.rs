//! Writes each frame into a file of its own, beside its place, and renames it there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use tapedeck_sdk::prelude::*;

use crate::folder::{self, EXTENSION};
use crate::row::Rows;

/// Options of the `pickles` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PicklesOptions {
    /// The folder, inside the session folder; of several inputs each has a folder in it. Default: the sink's id with the extension `pickles`.
    #[serde(default)]
    path: Option<PathBuf>,
    /// The pickle protocol: 4 for Python 3.4 and newer, 5 for 3.8 and newer. Messages that are pickles keep theirs.
    #[serde(default = "default_protocol")]
    #[schemars(range(min = 4, max = 5))]
    protocol: u8,
}

fn default_protocol() -> u8 {
    4
}

/// One input stream and its folder.
struct Output {
    folder: PathBuf,
    rows: Rows,
    /// The `seq` of the first frame.
    first: Option<u64>,
}

impl Output {
    fn write(&mut self, batch: &Batch, row: usize) -> Result<Option<Error>, Error> {
        let seq = batch.seq()[row];
        let first = *self.first.get_or_insert(seq);
        let Some(number) = seq.checked_sub(first) else {
            return Ok(Some(Error::data("frames numbered below the first one are left out")));
        };
        match self.rows.frame(batch, row) {
            Ok(frame) => self.put(number, &frame).map(|()| None),
            Err(error) => Ok(Some(error)),
        }
    }

    fn put(&self, number: u64, frame: &[u8]) -> Result<(), Error> {
        let beside = self.folder.join(format!(".{number:03}.{EXTENSION}.tmp"));
        let path = self.folder.join(format!("{number:03}.{EXTENSION}"));
        let written = File::create(&beside).and_then(|mut file| file.write_all(frame));
        let renamed = written.and_then(|()| {
            rustix::fs::renameat_with(CWD, &beside, CWD, &path, RenameFlags::NOREPLACE)?;
            Ok(())
        });
        renamed.map_err(|error| {
            _ = fs::remove_file(&beside);
            Error::io("write the frame", &path, &error)
        })
    }
}

/// Writes folders of numbered, timed pickles.
pub(crate) struct PicklesSink {
    outputs: Vec<Output>,
}

impl Sink for PicklesSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        let mut written = Written::ALL;
        for row in 0..batch.rows() {
            if let Some(refused) = self.outputs[input].write(&batch, row)? {
                let seq = batch.seq()[row];
                written.refuse(input, 1, seq..=seq, refused);
            }
        }
        Ok(written)
    }

    /// Every frame that was written is in its place.
    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

/// Makes a folder, which must not hold frames.
fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, &error))?;
    if folder::has_frames(folder) {
        let message = format!("the folder holds pickles already: {}", folder.display());
        return Err(Error::environment(message).with_hint("give the sink another `path`"));
    }
    Ok(())
}

impl OpenSink for PicklesSink {
    type Options = PicklesOptions;

    fn describe() -> Description {
        let summary = "Writes folders of numbered, timed Python pickles, one frame a file";
        Description::sink("pickles", summary).version(env!("CARGO_PKG_VERSION")).writes("pickles")
    }

    fn open(options: PicklesOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let path = context.artifact(options.path.as_deref(), "pickles")?;
        let folder = |schema: &StreamSchema| match inputs {
            [_] => path.clone(),
            _ => path.join(schema.name()),
        };
        let output = |schema: &Arc<StreamSchema>| {
            let folder = folder(schema);
            make(&folder)?;
            Ok(Output { folder, rows: Rows::new(schema, options.protocol), first: None })
        };
        Ok(Self { outputs: inputs.iter().map(output).collect::<Result<_, Error>>()? })
    }
}
