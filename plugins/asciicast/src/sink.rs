//! The `asciicast` sink: gives each connection its recording. Knows nothing of how lines look.

use std::collections::HashMap;
use std::path::PathBuf;

use tapedeck_sdk::prelude::*;

use crate::file::OPEN_FILES_MAX;
use crate::name::{self, Names};
use crate::options::AsciicastOptions;
use crate::recording::{Place, Recording, Style, Taken};
use crate::{HEADER_KEY, SINGLE_KEY, decode};

/// Where the columns of kind `terminal` stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    connection: usize,
    code: usize,
    data: usize,
}

impl Columns {
    fn of(schema: &StreamSchema) -> Result<Self, Error> {
        let column = |name: &str, data_type: DataType| {
            let index =
                schema.payload_index(name).filter(|&index| schema.payload()[index].data_type == data_type);
            index.ok_or_else(|| {
                let message =
                    format!("stream \"{}\" has no column \"{name}\" of type {data_type}", schema.name());
                Error::data(message).with_hint("An asciicast holds streams of kind \"terminal\".")
            })
        };
        if schema.kind() != Kind::Terminal {
            let message =
                format!("stream \"{}\" is of kind \"{}\", not \"terminal\"", schema.name(), schema.kind());
            return Err(
                Error::data(message).with_hint("Record it with another sink; `arrow` takes every kind.")
            );
        }
        Ok(Self {
            connection: column("connection", DataType::Utf8)?,
            code: column("code", DataType::Utf8)?,
            data: column("data", DataType::Binary)?,
        })
    }
}

/// How the files of a stream are called.
enum Naming {
    /// One file, whatever the connection is called.
    Single(PathBuf),
    /// One file a connection, in this folder.
    Folder(PathBuf),
}

/// One input stream and its connections.
struct Stream {
    columns: Columns,
    style: Style,
    naming: Naming,
    sidecar: bool,
    active: HashMap<String, Recording>,
}

impl Stream {
    fn new(
        options: &AsciicastOptions,
        schema: &StreamSchema,
        alone: bool,
        context: &Context,
    ) -> Result<Self, Error> {
        let single = schema.metadata().get(SINGLE_KEY).is_some_and(|value| value == "true");
        let path = options.path.clone().unwrap_or_else(|| PathBuf::from(&context.id));
        let path = if alone { path } else { path.join(schema.name()) };
        let replayed = schema.metadata().get(HEADER_KEY).and_then(|line| decode::header(line).ok());
        let style = Style {
            version: options.version(),
            precision: options.precision,
            size: options.size(),
            input: options.input,
            facts: options.facts(replayed.map(|header| header.facts).unwrap_or_default()),
        };
        Ok(Self {
            columns: Columns::of(schema)?,
            style,
            naming: if single { Naming::Single(path) } else { Naming::Folder(path) },
            sidecar: options.sidecar.unwrap_or(!single),
            active: HashMap::new(),
        })
    }

    /// The name of a connection's files, without an extension.
    fn stem(&self, connection: &str, names: &mut Names) -> PathBuf {
        let wanted = match &self.naming {
            Naming::Single(path) if path.extension().is_some_and(|extension| extension == "cast") => {
                path.with_extension("")
            }
            Naming::Single(path) => path.clone(),
            Naming::Folder(folder) => folder.join(name::safe(connection)),
        };
        PathBuf::from(names.unique(&wanted.to_string_lossy()))
    }
}

/// Writes each connection into a file of its own.
pub(crate) struct AsciicastSink {
    streams: Vec<Stream>,
    names: Names,
    host: Arc<dyn Host>,
    /// What ended this sink.
    error: Option<Error>,
}

impl AsciicastSink {
    fn begin(&mut self, input: usize, connection: &str, at: Timestamp) -> Result<(), Error> {
        let active: usize = self.streams.iter().map(|stream| stream.active.len()).sum();
        let stream = &mut self.streams[input];
        let stem = stream.stem(connection, &mut self.names);
        let path = self.host.artifact(&stem.with_added_extension("cast"))?;
        let sidecar =
            stream.sidecar.then(|| self.host.artifact(&stem.with_added_extension("json"))).transpose()?;
        let place = Place { path, sidecar, keep: active < OPEN_FILES_MAX };
        let recording = Recording::create(place, connection, at, &stream.style)?;
        stream.active.insert(connection.to_owned(), recording);
        Ok(())
    }

    fn take(
        &mut self,
        input: usize,
        at: Timestamp,
        connection: &str,
        code: &str,
        data: &[u8],
    ) -> Result<(), Error> {
        let fresh = !self.streams[input].active.contains_key(connection);
        if fresh {
            self.begin(input, connection, at)?;
        }
        let Stream { active, style, .. } = &mut self.streams[input];
        let recording = active.get_mut(connection).expect("it was begun above");
        let taken = recording.take(at, code, data, style)?;
        if fresh {
            recording.refresh()?;
        }
        match taken {
            Taken::Yes => {}
            Taken::No => self.host.failed(1),
            Taken::Ended => active.remove(connection).map_or(Ok(()), |ended| ended.finish(None, style))?,
        }
        Ok(())
    }

    fn take_all(&mut self, input: usize, batch: &Batch) -> Result<(), Error> {
        let columns = self.streams[input].columns;
        let (connection, code) = (batch.column(columns.connection), batch.column(columns.code));
        let data = batch.column(columns.data);
        batch.timestamps().iter().enumerate().try_for_each(|(row, &at)| {
            self.take(input, Timestamp(at), connection.str_at(row), code.str_at(row), data.bytes_at(row))
        })
    }

    /// Remembers what ended the sink, for the sidecars.
    fn noted(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        result.inspect_err(|error| self.error = Some(error.clone()))
    }
}

impl Sink for AsciicastSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<(), Error> {
        let result = self.take_all(input, &batch);
        self.noted(result)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut recordings = self.streams.iter_mut().flat_map(|stream| stream.active.values_mut());
        let result = recordings.try_for_each(Recording::flush);
        self.noted(result)
    }

    fn finish(&mut self) -> Result<(), Error> {
        let mut first = Ok(());
        for stream in &mut self.streams {
            for (_, recording) in stream.active.drain() {
                // Each file is finished, whatever happens to the others.
                first = first.and(recording.finish(self.error.as_ref(), &stream.style));
            }
        }
        first
    }
}

impl OpenSink for AsciicastSink {
    type Options = AsciicastOptions;

    fn describe() -> Description {
        Description::sink("asciicast", "Writes terminal recordings that asciinema plays")
            .version(env!("CARGO_PKG_VERSION"))
            .takes(&[Kind::Terminal])
            .writes("cast")
    }

    fn check(options: &AsciicastOptions) -> Result<(), Error> {
        options.check()
    }

    fn open(
        options: AsciicastOptions,
        inputs: &[Arc<StreamSchema>],
        context: Context,
    ) -> Result<Self, Error> {
        options.check()?;
        let alone = inputs.len() == 1;
        let streams = inputs.iter().map(|schema| Stream::new(&options, schema, alone, &context));
        let streams = streams.collect::<Result<_, Error>>()?;
        Ok(Self { streams, names: Names::default(), host: context.host, error: None })
    }
}
