//! Reads JSON lines back and mends torn files. Two passes: the first finds out the columns, the second reads.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tapedeck_sdk::lines::{Found, LineReader};
use tapedeck_sdk::prelude::*;

use crate::encode::holds_json;
use crate::infer::{self, Guess};
use crate::parse::Object;

/// The most rows of a batch, and about the most bytes.
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// JSON lines.
pub struct JsonlFormat;

impl Format for JsonlFormat {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let reading = |error: std::io::Error| Error::io("read the recording", path, &error);
        let mut file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let table = survey(&mut file).map_err(reading)?;
        if let (0, Ending::Malformed(what)) = (table.rows, &table.ending) {
            return Err(Error::data(format!("not JSON lines: {what}: {}", path.display())));
        }
        file.seek(SeekFrom::Start(0)).map_err(reading)?;
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let schema = table.schema(&name)?;
        let row_bytes = 64 + 16 * schema.fields().len();
        Ok(Box::new(JsonlSource {
            rows_max: (BATCH_BYTES_MAX / row_bytes).clamp(1, BATCH_ROWS_MAX),
            pool: BatchPool::new(schema.clone()),
            columns: columns(&schema),
            streams: vec![schema],
            lines: LineReader::new(BufReader::new(file)),
            table,
            rows: 0,
            path: path.to_owned(),
        }))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let mut file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.as_mut().map_err(|error| Error::io("open the recording", path, error))?;
        match survey(file).map_err(|error| Error::io("read the recording", path, &error))?.ending {
            Ending::Whole => Ok(Repair::Intact),
            Ending::Malformed(what) => Ok(Repair::Unreadable(what)),
            Ending::Torn(at) => {
                let mend =
                    file.metadata().and_then(|metadata| file.set_len(at).map(|()| metadata.len() - at));
                let cut = mend.map_err(|error| Error::io("mend the recording", path, &error))?;
                Ok(Repair::Mended(format!("cut {cut} bytes of a torn last line")))
            }
        }
    }
}

/// How a file ends.
enum Ending {
    Whole,
    /// In a line without an end, which begins at this byte.
    Torn(u64),
    /// In something that no writer leaves behind.
    Malformed(String),
}

/// What the first pass found.
struct Table {
    /// The keys in the order of their first appearance.
    names: Vec<String>,
    guesses: Vec<Guess>,
    /// Rows up to the ending.
    rows: u64,
    ending: Ending,
}

/// Reads a whole file to find out its columns.
fn survey(file: &mut File) -> std::io::Result<Table> {
    let mut lines = LineReader::new(BufReader::new(file));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut table = Table { names: Vec::new(), guesses: Vec::new(), rows: 0, ending: Ending::Whole };
    loop {
        let found = lines.advance()?;
        let object = match found {
            Found::End => return Ok(table),
            Found::Malformed(reason) => Err(reason.to_owned()),
            Found::Line { .. } => {
                serde_json::from_str::<Object<'_>>(lines.text()).map_err(|error| error.to_string())
            }
        };
        match object {
            Ok(object) => match see_row(&mut table, &mut places, object) {
                None => table.rows += 1,
                Some(key) => {
                    table.ending =
                        Ending::Malformed(format!("row {} has the key \"{key}\" twice", table.rows + 1));
                    return Ok(table);
                }
            },
            // An object is whole or it is not: a last one that is whole counts, whether or not its line end was written.
            Err(_) if found == (Found::Line { ended: false }) => {
                table.ending = Ending::Torn(lines.begin());
                return Ok(table);
            }
            Err(reason) => {
                table.ending = Ending::Malformed(format!("row {} can't be read: {reason}", table.rows + 1));
                return Ok(table);
            }
        }
    }
}

/// Takes one row into account. Some key, if the row has it twice.
fn see_row(table: &mut Table, places: &mut HashMap<String, usize>, object: Object<'_>) -> Option<String> {
    let mut twice = None;
    for (key, value) in object.0 {
        let place = places.get(key.as_ref()).copied().unwrap_or_else(|| {
            table.names.push(key.clone().into_owned());
            table.guesses.push(Guess::default());
            places.insert(key.clone().into_owned(), table.names.len() - 1);
            table.names.len() - 1
        });
        if !table.guesses[place].see(value.get(), table.rows + 1) {
            twice = Some(key.into_owned());
        }
    }
    twice
}

impl Table {
    fn schema(&self, name: &str) -> Result<Arc<StreamSchema>, Error> {
        let payload = || {
            (0..self.names.len()).filter(|&index| !matches!(self.names[index].as_str(), "seq" | "timestamp"))
        };
        let names: Vec<&str> = payload().map(|index| self.names[index].as_str()).collect();
        let kind = kind(&names);
        let field = |index: usize| {
            let data_type =
                known_type(kind, &self.names[index]).unwrap_or_else(|| self.guesses[index].data_type());
            Field {
                nullable: self.guesses[index].nullable(self.rows),
                ..Field::new(&self.names[index], data_type)
            }
        };
        payload()
            .map(field)
            .fold(StreamSchema::builder(name, kind), tapedeck_sdk::SchemaBuilder::push)
            .build()
    }
}

/// The kind of stream whose columns these are.
fn kind(names: &[&str]) -> Kind {
    match names {
        ["connection", "code", "data"] => Kind::Terminal,
        ["type", "player_id", "data", "state"] => Kind::Event,
        ["width", "height", "format", "pixels"] => Kind::Image,
        ["topic", "encoding", "data"] => Kind::Message,
        _ => Kind::Attributes,
    }
}

/// The type of a column that the values don't show: by the kind's convention.
fn known_type(kind: Kind, name: &str) -> Option<DataType> {
    match (kind, name) {
        (Kind::Terminal | Kind::Message, "data") | (Kind::Image, "pixels") => Some(DataType::Binary),
        (Kind::Terminal | Kind::Message | Kind::Event, _) | (Kind::Image, "format") => Some(DataType::Utf8),
        _ => None,
    }
}

/// Where each key goes: a payload column, its type, and whether it holds JSON.
fn columns(schema: &StreamSchema) -> HashMap<String, (usize, DataType, bool)> {
    let column = |(index, field): (usize, &Field)| {
        (field.name.clone(), (index, field.data_type, holds_json(schema.kind(), &field.name)))
    };
    schema.payload().iter().enumerate().map(column).collect()
}

/// A recording that is read back.
struct JsonlSource {
    lines: LineReader<BufReader<File>>,
    table: Table,
    columns: HashMap<String, (usize, DataType, bool)>,
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    rows_max: usize,
    /// Rows so far.
    rows: u64,
    path: PathBuf,
}

impl Recording for JsonlSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let damaged =
            |what: &str| Error::data(format!("the recording is damaged: {what}: {}", self.path.display()));
        if self.rows == self.table.rows {
            return match &self.table.ending {
                Ending::Malformed(what) => Err(damaged(what)),
                Ending::Whole | Ending::Torn(_) => Ok(None),
            };
        }
        let mut builder = self.pool.builder(self.rows_max);
        while builder.room() > 0 && builder.byte_len() < 4 * BATCH_BYTES_MAX && self.rows < self.table.rows {
            let found =
                self.lines.advance().map_err(|error| Error::io("read the recording", &self.path, &error))?;
            let object = match found {
                Found::Line { .. } => serde_json::from_str::<Object<'_>>(self.lines.text()).ok(),
                _ => None,
            };
            let taken = object.and_then(|object| take_row(&self.columns, &object, self.rows, &mut builder));
            if taken.is_none() {
                return Err(damaged(&format!("row {} has a value that can't be read", self.rows + 1)));
            }
            self.rows += 1;
        }
        Ok(Some((0, builder.finish())))
    }
}

/// Adds an object as a row. `None` when a value is not what the first pass saw.
fn take_row(
    columns: &HashMap<String, (usize, DataType, bool)>,
    object: &Object<'_>,
    row: u64,
    builder: &mut BatchBuilder<'_>,
) -> Option<()> {
    let value = |name: &str| object.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
    let seq = value("seq").map_or(Some(row), |raw| raw.parse().ok())?;
    let timestamp = value("timestamp").map_or(Some(Timestamp(0)), infer::timestamp)?;
    let mut writer = builder.push_row(timestamp);
    let mut taken = vec![false; columns.len()];
    for (key, value) in &object.0 {
        let Some(&(column, data_type, json)) = columns.get(key.as_ref()) else { continue };
        // The first pass saw no key twice; a file that has changed since must not do harm.
        if std::mem::replace(&mut taken[column], true) {
            return None;
        }
        infer::set(&mut writer, column, data_type, json, value.get())?;
    }
    let last = builder.rows() - 1;
    builder.seq_mut()[last] = seq;
    Some(())
}
