//! Writes one line a frame: its `seq`, its time and its first `f64` value. The example of a sink in `sdk/README.md`.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use tapedeck_sdk::prelude::*;

/// Options of the `lines` sink.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinesOptions {
    /// The file, relative to the session's folder. Default: the sink's id with `.txt`.
    path: Option<PathBuf>,
}

/// A sink that writes lines.
pub(crate) struct Lines {
    file: File,
    path: PathBuf,
    text: Vec<u8>,
}

impl Sink for Lines {
    fn write(&mut self, _input: usize, batch: Batch) -> Result<Written, Error> {
        let first = batch.columns().find(|column| column.data_type() == DataType::Float64);
        for row in 0..batch.rows() {
            let value = first.map_or(f64::NAN, |column| column.values::<f64>()[row]);
            writeln!(self.text, "{} {} {value}", batch.seq()[row], batch.timestamps()[row])
                .expect("writing into memory never fails");
        }
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        let written = self.file.write_all(&self.text);
        self.text.clear();
        written.map(|()| Written::ALL).map_err(|error| Error::io("write lines", &self.path, &error))
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.flush()
    }
}

impl OpenSink for Lines {
    type Options = LinesOptions;

    fn describe() -> Description {
        Description::sink("lines", "Writes one line a frame").writes("txt").takes(&[Kind::Attributes])
    }

    fn open(options: LinesOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        if let Some(other) = inputs.iter().find(|input| input.kind() != Kind::Attributes) {
            return Err(Error::data(format!(
                "can't write \"{}\", a stream of kind {}",
                other.name(),
                other.kind()
            )));
        }
        let path = context.artifact(options.path.as_deref(), "txt")?;
        let file = File::create(&path).map_err(|error| Error::io("make the file", &path, &error))?;
        Ok(Self { file, path, text: Vec::new() })
    }
}
