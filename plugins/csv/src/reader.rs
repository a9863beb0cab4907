//! Reads comma-separated values back and mends torn files. Two passes: the first finds out the types, the second reads.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tapedeck_sdk::prelude::*;

use crate::infer::{self, Guess, is_null};
use crate::parse::{Found, Records};

/// The most rows of a batch, and about the most bytes.
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Comma-separated values.
pub struct CsvFormat;

impl Format for CsvFormat {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let reading = |error: std::io::Error| Error::io("read the recording", path, &error);
        let mut file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let table = survey(&mut file).map_err(reading)?;
        let Some(table) = table else {
            return Err(Error::data(format!(
                "no header line: not comma-separated values: {}",
                path.display()
            )));
        };
        file.seek(SeekFrom::Start(0)).map_err(reading)?;
        let mut records = Records::new(BufReader::new(file));
        records.next().map_err(reading)?;
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let schema = table.schema(&name)?;
        let row_bytes = 64 + 16 * schema.fields().len();
        Ok(Box::new(CsvSource {
            rows_max: (BATCH_BYTES_MAX / row_bytes).clamp(1, BATCH_ROWS_MAX),
            pool: BatchPool::new(schema.clone()),
            streams: vec![schema],
            records,
            table,
            rows: 0,
            path: path.to_owned(),
        }))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let mut file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.as_mut().map_err(|error| Error::io("open the recording", path, error))?;
        let survey = survey(file).map_err(|error| Error::io("read the recording", path, &error))?;
        let Some(table) = survey else {
            return Ok(Repair::Unreadable("the file ends before its header line does".to_owned()));
        };
        match table.ending {
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
    names: Vec<String>,
    guesses: Vec<Guess>,
    /// Which columns are `seq` and `timestamp`.
    seq: Option<usize>,
    timestamp: Option<usize>,
    /// Rows up to the ending.
    rows: u64,
    ending: Ending,
}

/// Reads a whole file to find out its columns. `None` when there is no header line.
fn survey(file: &mut File) -> std::io::Result<Option<Table>> {
    let mut records = Records::new(BufReader::new(file));
    if records.next()? != (Found::Record { ended: true }) {
        return Ok(None);
    }
    let names: Vec<String> = records.cells().map(|cell| cell.text.to_owned()).collect();
    let place = |name: &str| names.iter().position(|column| column == name);
    let (seq, timestamp) = (place("seq"), place("timestamp"));
    let guesses = vec![Guess::new(); names.len()];
    let mut table = Table { names, guesses, seq, timestamp, rows: 0, ending: Ending::Whole };
    loop {
        match records.next()? {
            Found::End => return Ok(Some(table)),
            // In a file of ours a last line without its end may be cut anywhere, in the middle of a number too.
            Found::Record { ended: false } if table.is_ours() => {
                table.ending = Ending::Torn(records.begin());
                return Ok(Some(table));
            }
            Found::Record { .. } if records.cells().len() == table.names.len() => {
                table.guesses.iter_mut().zip(records.cells()).for_each(|(guess, cell)| guess.see(cell));
                table.rows += 1;
            }
            found => {
                let (row, columns) = (table.rows + 1, table.names.len());
                table.ending = Ending::Malformed(match found {
                    Found::Malformed(reason) => format!("row {row} can't be read: {reason}"),
                    _ => format!("row {row} has {} fields, the header has {columns}", records.cells().len()),
                });
                return Ok(Some(table));
            }
        }
    }
}

impl Table {
    fn is_ours(&self) -> bool {
        (self.seq, self.timestamp) == (Some(0), Some(1))
    }

    /// Which columns of the file are the stream's own.
    fn payload(&self) -> impl Iterator<Item = usize> {
        (0..self.names.len()).filter(|&index| Some(index) != self.seq && Some(index) != self.timestamp)
    }

    fn schema(&self, name: &str) -> Result<Arc<StreamSchema>, Error> {
        let fields = self.payload().map(|index| Field {
            nullable: self.guesses[index].nullable(),
            ..Field::new(&self.names[index], self.guesses[index].data_type())
        });
        let names: Vec<&str> = self.payload().map(|index| self.names[index].as_str()).collect();
        let kind = match names[..] {
            ["connection", "code", "data"] => Kind::Terminal,
            ["type", "player_id", "data", "state"] => Kind::Event,
            ["width", "height", "format", "pixels"] => Kind::Image,
            ["topic", "encoding", "data"] => Kind::Message,
            _ => Kind::Attributes,
        };
        fields.fold(StreamSchema::builder(name, kind), tapedeck_sdk::SchemaBuilder::push).build()
    }
}

/// A recording that is read back.
struct CsvSource {
    records: Records<BufReader<File>>,
    table: Table,
    streams: Vec<Arc<StreamSchema>>,
    pool: BatchPool,
    rows_max: usize,
    /// Rows so far.
    rows: u64,
    path: PathBuf,
}

impl Recording for CsvSource {
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
                self.records.next().map_err(|error| Error::io("read the recording", &self.path, &error))?;
            let whole =
                matches!(found, Found::Record { .. }) && self.records.cells().len() == self.table.names.len();
            if !whole || take_row(&self.table, &self.records, self.rows, &mut builder).is_none() {
                return Err(damaged(&format!("row {} has a value that can't be read", self.rows + 1)));
            }
            self.rows += 1;
        }
        Ok(Some((0, builder.finish())))
    }
}

/// Adds the record in hand as a row. `None` when a value is not what the first pass saw.
fn take_row<R: std::io::BufRead>(
    table: &Table,
    records: &Records<R>,
    row: u64,
    builder: &mut BatchBuilder<'_>,
) -> Option<()> {
    let lead = |place: Option<usize>| place.map(|index| records.cell(index).text);
    let seq = lead(table.seq).map_or(Some(row), |text| text.parse().ok())?;
    let timestamp = lead(table.timestamp).map_or(Some(Timestamp(0)), infer::timestamp)?;
    let mut writer = builder.push_row(timestamp);
    for (column, index) in table.payload().enumerate() {
        let cell = records.cell(index);
        if is_null(cell) {
            continue;
        }
        match table.guesses[index].data_type() {
            DataType::Bool => _ = writer.set_bool(column, cell.text == "true"),
            DataType::Int64 => _ = writer.set(column, cell.text.parse::<i64>().ok()?),
            DataType::UInt64 => _ = writer.set(column, cell.text.parse::<u64>().ok()?),
            DataType::Float64 => _ = writer.set(column, cell.text.parse::<f64>().ok()?),
            DataType::TimestampNs => _ = writer.set(column, Timestamp::from_iso8601(cell.text)?.0),
            DataType::Binary => _ = writer.set_bytes(column, &infer::bytes(cell.text)?),
            _ => _ = writer.set_str(column, cell.text),
        }
    }
    let last = builder.rows() - 1;
    builder.seq_mut()[last] = seq;
    Some(())
}
