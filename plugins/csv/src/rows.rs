//! The records of a file as rows: which fields are `seq` and `timestamp`, and which go into the columns that are wanted. Knows
//! nothing of files.

use std::collections::HashMap;
use std::io::{self, BufRead, Seek};

use tapedeck_kit::lines::{Ending, Found, Place, RowReader, Step};
use tapedeck_sdk::{DataType, RowWriter, StreamSchema, Timestamp};

use crate::infer::{self, is_null};
use crate::parse::{Cell, Records};

/// How each header line of ours begins, if there is a column at all.
const LEAD: &[u8] = b"seq,timestamp,";

/// How many records with a wrong quote are taken apart, each of which may reach to the end of the file, and how many records behind such
/// a quote are looked at for a row.
const TAKEN_APART_MAX: usize = 64;
const HIDDEN_LOOKED_AT: usize = 8;

/// The rows below a header line.
pub(crate) struct CsvRows<R> {
    records: Records<R>,
    names: Vec<String>,
    /// Which fields are `seq` and `timestamp`.
    seq: Option<usize>,
    timestamp: Option<usize>,
    /// The fields that are wanted and the types that they have.
    chosen: Vec<(usize, DataType)>,
    /// How a file ends that has no whole header line.
    headless: Option<Ending>,
    /// How many records were taken apart into lines.
    taken_apart: usize,
}

impl<R: BufRead> CsvRows<R> {
    /// Reads the header line. `None` when there is none.
    pub(crate) fn new(input: R) -> io::Result<Option<Self>> {
        let mut records = Records::new(input);
        let headless = match records.advance()? {
            Found::Line { ended: true } => None,
            Found::End => Some(Ending::Whole),
            Found::Line { ended: false } if begins_as_ours(records.lines().bytes()) => Some(Ending::Torn(0)),
            _ => return Ok(None),
        };
        let names: Vec<String> = match headless {
            None => records.cells().map(|cell| cell.text.to_owned()).collect(),
            Some(_) => Vec::new(),
        };
        let field = |name: &str| names.iter().position(|column| column == name);
        let (seq, timestamp) = (field("seq"), field("timestamp"));
        Ok(Some(Self { records, names, seq, timestamp, chosen: Vec::new(), headless, taken_apart: 0 }))
    }

    /// The fields of the row in hand.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.records.cells()
    }

    fn is_ours(&self) -> bool {
        (self.seq, self.timestamp) == (Some(0), Some(1))
    }

    /// The row in hand, or what is wrong with it.
    fn row(&self) -> Result<Step, String> {
        let (fields, columns) = (self.records.cells().len(), self.names.len());
        if fields != columns {
            return Err(format!("has {fields} fields, the header has {columns}"));
        }
        let cell = |field: usize| self.records.cell(field).text;
        let time = self.timestamp.map_or(Some(Timestamp(0)), |field| infer::timestamp(cell(field)));
        Ok(Step::row(self.seq.map(cell), time)?)
    }
}

impl<R> CsvRows<R> {
    /// The names of all columns, as the header has them.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

/// Whether a file that has no line end can be what a sink had written when it was killed.
fn begins_as_ours(bytes: &[u8]) -> bool {
    LEAD.starts_with(bytes) || bytes.starts_with(LEAD)
}

impl<R: BufRead + Seek> CsvRows<R> {
    /// Makes the first line of the record in hand all of it: the lines behind it come next. False if it has no others, or that was done too
    /// often: it may take reading the rest of the file.
    fn take_apart(&mut self) -> io::Result<bool> {
        let apart = self.taken_apart < TAKEN_APART_MAX && self.records.has_lines();
        if apart {
            self.taken_apart += 1;
            self.records.go_behind_first_line()?;
        }
        Ok(apart)
    }

    /// Whether the record in hand, in which a quote has no end, has rows behind its first line. Then the quote is wrong, and they come next.
    fn hides_rows(&mut self) -> io::Result<bool> {
        let place = self.records.lines().begin();
        if !self.take_apart()? {
            return Ok(false);
        }
        let mut found = false;
        for _ in 0..HIDDEN_LOOKED_AT {
            match self.records.advance()? {
                Found::Line { ended: true } => found = self.row().is_ok(),
                Found::Malformed(_) => {}
                Found::Line { ended: false } | Found::End => break,
            }
            if found {
                break;
            }
        }
        self.records.go_to(place.0, place.1)?;
        self.records.advance()?;
        if found {
            self.records.go_behind_first_line()?;
        }
        Ok(found)
    }
}

impl<R: BufRead + Seek + Send> RowReader for CsvRows<R> {
    fn advance(&mut self) -> io::Result<Step> {
        if let Some(ending) = &self.headless {
            return Ok(Step::End(ending.clone()));
        }
        let found = self.records.advance()?;
        let (byte, _) = self.begin();
        Ok(match found {
            Found::End => Step::End(Ending::Whole),
            Found::Line { ended: false } if self.hides_rows()? => {
                Step::Bad("has a quote that does not end".to_owned())
            }
            // In a file of ours a last line without its end may be cut anywhere, in the middle of a number too.
            Found::Line { ended: false } if self.is_ours() => Step::End(Ending::Torn(byte)),
            Found::Malformed(why) => {
                self.take_apart()?;
                Step::Bad(format!("can't be read: {why}"))
            }
            Found::Line { .. } => self.row().unwrap_or_else(Step::Bad),
        })
    }

    fn begin(&self) -> (u64, u64) {
        self.records.lines().begin()
    }

    fn go_to(&mut self, place: &Place) -> io::Result<()> {
        self.records.go_to(place.byte, place.line)
    }

    fn choose(&mut self, schema: &StreamSchema) {
        let fields: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(field, name)| (name.as_str(), field)).collect();
        let chosen =
            |column: &tapedeck_sdk::Field| Some((*fields.get(column.name.as_str())?, column.data_type));
        self.chosen = schema.payload().iter().filter_map(chosen).collect();
    }

    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        for (column, &(field, data_type)) in self.chosen.iter().enumerate() {
            let cell = self.records.cell(field);
            if is_null(cell) {
                continue;
            }
            match data_type {
                DataType::Bool => _ = writer.set_bool(column, cell.text == "true"),
                DataType::Int64 => _ = writer.set(column, cell.text.parse::<i64>().ok()?),
                DataType::UInt32 => _ = writer.set(column, cell.text.parse::<u32>().ok()?),
                DataType::UInt64 => _ = writer.set(column, cell.text.parse::<u64>().ok()?),
                DataType::Float64 => _ = writer.set(column, cell.text.parse::<f64>().ok()?),
                DataType::TimestampNs => _ = writer.set(column, Timestamp::from_iso8601(cell.text)?.0),
                DataType::Binary => _ = writer.set_bytes(column, &infer::bytes(cell.text)?),
                _ => _ = writer.set_str(column, cell.text),
            }
        }
        Some(())
    }
}
