//! Reads comma-separated values back and mends torn files. Two passes: the first finds out the types, the second reads.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tapedeck_kit::lines::{LineRecording, RowCursor, stream_name};
use tapedeck_sdk::prelude::*;

use crate::infer::Guess;
use crate::rows::CsvRows;

/// Comma-separated values.
pub struct CsvFormat;

impl Format for CsvFormat {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        // Only what the sink writes: nearly any text could be somebody's values.
        head.strip_prefix(b"seq,timestamp")
            .is_some_and(|rest| matches!(rest, [b',' | b'\n', ..] | [b'\r', b'\n', ..]))
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let Some((cursor, guesses)) = survey(path)? else {
            let what = "no header line: not comma-separated values";
            return Err(Error::data(format!("{what}: {}", path.display())));
        };
        let schema = schema(&stream_name(path), cursor.rows(), &guesses)?;
        Ok(Box::new(LineRecording::new(cursor, schema)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        match survey(path)? {
            Some((mut cursor, _)) => cursor.mend(),
            None => Ok(Repair::Unreadable("the file ends before its header line does".to_owned())),
        }
    }
}

type Cursor = RowCursor<CsvRows<BufReader<File>>>;

/// Reads a whole file to find out what its columns hold. `None` when there is no header line.
fn survey(path: &Path) -> Result<Option<(Cursor, Vec<Guess>)>, Error> {
    let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
    let rows = CsvRows::new(BufReader::new(file));
    let rows = rows.map_err(|error| Error::io("read the recording", path, &error))?;
    let Some(rows) = rows else { return Ok(None) };
    let mut guesses = vec![Guess::new(); rows.names().len()];
    let mut cursor = RowCursor::new(rows, path);
    cursor
        .read_to_end(|rows| guesses.iter_mut().zip(rows.cells()).for_each(|(guess, cell)| guess.see(cell)))?;
    Ok(Some((cursor, guesses)))
}

fn schema<R>(name: &str, rows: &CsvRows<R>, guesses: &[Guess]) -> Result<Arc<StreamSchema>, Error> {
    let payload =
        || rows.names().iter().zip(guesses).filter(|(name, _)| !matches!(name.as_str(), "seq" | "timestamp"));
    let names: Vec<&str> = payload().map(|(name, _)| name.as_str()).collect();
    let kind = Kind::of_columns(&names);
    // Tables of somebody else may have the names of a kind by chance.
    let fits = kind.columns().iter().zip(payload()).all(|(column, (_, guess))| guess.fits(column.data_type));
    let kind = if fits { kind } else { Kind::Attributes };
    let known =
        |name: &str| kind.columns().iter().find(|column| column.name == name).map(|column| column.data_type);
    let field = |(name, guess): (&String, &Guess)| Field {
        nullable: guess.nullable(),
        ..Field::new(name, known(name).unwrap_or_else(|| guess.data_type()))
    };
    payload().map(field).fold(StreamSchema::builder(name, kind), tapedeck_sdk::SchemaBuilder::push).build()
}
