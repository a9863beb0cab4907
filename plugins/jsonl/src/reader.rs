//! Reads JSON lines back and mends torn files. Two passes: the first finds out the columns, the second reads.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tapedeck_kit::lines::{LineReader, LineRecording, RowCursor, stream_name};
use tapedeck_sdk::prelude::*;

use crate::infer::Guess;
use crate::parse;
use crate::rows::JsonRows;

/// How many different keys lines may have, however few each of them has.
const SPARSE_KEYS_MAX: usize = 4_096;
/// How many columns there may be for each value where there are more keys.
const EMPTY_PER_VALUE_MAX: u64 = 64;

/// JSON lines.
pub struct JsonlFormat;

impl Format for JsonlFormat {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        parse::begins_as_lines(head)
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let (cursor, guesses) = survey(path)?;
        let rows = cursor.extent().map_or(0, |extent| extent.frames);
        if let (0, Some(what)) = (rows, cursor.bad_lines()) {
            return Err(Error::data(format!("not JSON lines: {what}: {}", path.display())));
        }
        check_density(path, rows, &guesses)?;
        let schema = schema(&stream_name(path), cursor.rows().names(), &guesses, rows)?;
        Ok(Box::new(LineRecording::new(cursor, schema)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        survey(path)?.0.mend()
    }
}

type Cursor = RowCursor<JsonRows<BufReader<File>>>;

/// Reads a whole file to find out its columns and what they hold.
fn survey(path: &Path) -> Result<(Cursor, Vec<Guess>), Error> {
    let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
    let mut cursor = RowCursor::new(JsonRows::new(LineReader::new(BufReader::new(file))), path);
    let mut guesses: Vec<Guess> = Vec::new();
    cursor.read_to_end(|rows| {
        guesses.resize(rows.names().len(), Guess::default());
        rows.values().for_each(|(key, value)| guesses[key].see(value));
    })?;
    // Keys of a line that turned out to be none are there too.
    guesses.resize(cursor.rows().names().len(), Guess::default());
    Ok((cursor, guesses))
}

/// Refuses lines that are no table: a frame has all columns, so that few lines with keys of their own would become the product of both.
fn check_density(path: &Path, rows: u64, guesses: &[Guess]) -> Result<(), Error> {
    let (keys, values) = (guesses.len(), guesses.iter().map(Guess::count).sum::<u64>());
    if keys <= SPARSE_KEYS_MAX || values >= rows.saturating_mul(keys as u64) / EMPTY_PER_VALUE_MAX {
        return Ok(());
    }
    let message = format!(
        "not a table: {rows} lines have {keys} different keys, and of these {values} values in all: {}",
        path.display()
    );
    Err(Error::data(message).with_hint(format!(
        "with more than {SPARSE_KEYS_MAX} keys a line must have one in {EMPTY_PER_VALUE_MAX} of them on average"
    )))
}

fn schema(name: &str, keys: &[String], guesses: &[Guess], rows: u64) -> Result<Arc<StreamSchema>, Error> {
    let payload = || keys.iter().zip(guesses).filter(|(key, _)| !matches!(key.as_str(), "seq" | "timestamp"));
    let names: Vec<&str> = payload().map(|(key, _)| key.as_str()).collect();
    let kind = Kind::of_columns(&names);
    // Lines of somebody else may have the names of a kind by chance.
    let fits = kind.columns().iter().zip(payload()).all(|(column, (_, guess))| guess.fits(column.data_type));
    let kind = if fits { kind } else { Kind::Attributes };
    // Text may be bytes, and a whole number a float: where the kind says it, the values need not.
    let known =
        |name: &str| kind.columns().iter().find(|column| column.name == name).map(|column| column.data_type);
    let field = |(key, guess): (&String, &Guess)| Field {
        nullable: guess.nullable(rows),
        ..Field::new(key, known(key).unwrap_or_else(|| guess.data_type()))
    };
    payload().map(field).fold(StreamSchema::builder(name, kind), tapedeck_sdk::SchemaBuilder::push).build()
}
