//! Reads Arrow IPC streams back and mends torn ones. Knows nothing of how ours are written, beyond the format.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::SchemaRef;
use tapedeck_kit::blocks::{BlockCache, Blocks, Place, TimeIndex};
use tapedeck_sdk::batch::ArrowImport;
use tapedeck_sdk::prelude::*;

use crate::message::END_OF_STREAM;
use crate::messages::Messages;
use crate::scan::{Ending, Placed, Scan, begins_stream, scan};

/// The most bytes that become one batch, unless a row has more.
const PART_BYTES_MAX: u64 = 8 << 20;
/// What a row takes in a batch at least: `seq` and `timestamp`.
const ROW_BYTES_MIN: u64 = 16;

/// Arrow IPC streams (`.arrows`).
pub struct ArrowFormat;

impl Format for ArrowFormat {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["arrows"]
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        begins_stream(head)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let mut file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let found = walk(&mut file, path)?;
        if found.messages == 0 {
            return Err(not_a_stream(&mut file, path, &found));
        }
        let schema = schema(&file, path, found.end)?;
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let import = ArrowImport::new(&schema, &name)?;
        Ok(Box::new(ArrowSource {
            direct: Direct::of(&import),
            messages: Messages::new(file, path.to_owned(), schema),
            lead: import.lead(),
            streams: vec![import.schema().clone()],
            import,
            parts: parts(&found.batches),
            found,
            wanted: true,
            index: OnceCell::new(),
            at: (0, 0),
            failed: false,
            held: None,
            cache: BlockCache::default(),
        }))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let mut file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.as_mut().map_err(|error| Error::io("open the recording", path, error))?;
        let found = walk(file, path)?;
        if found.messages == 0 {
            return Ok(Repair::Unreadable("the file ends before its schema does".to_owned()));
        }
        let torn = found.length - found.end;
        match found.ending {
            Ending::Marked => return Ok(Repair::Intact),
            Ending::Damaged(what) => {
                let (at, rows) = (found.end, found.rows);
                return Ok(Repair::Unreadable(format!(
                    "damaged at byte {at}: {what}; the {rows} frames before it can be read"
                )));
            }
            Ending::Torn => {}
        }
        let mut mend = || {
            file.set_len(found.end)?;
            file.seek(SeekFrom::Start(found.end))?;
            file.write_all(&END_OF_STREAM)
        };
        mend().map_err(|error| Error::io("mend the recording", path, &error))?;
        let cut =
            if torn == 0 { String::new() } else { format!("cut {torn} bytes of a torn last message and ") };
        Ok(Repair::Mended(format!("{cut}added the missing end mark")))
    }
}

fn walk(file: &mut File, path: &Path) -> Result<Scan, Error> {
    scan(file).map_err(|error| Error::io("read the recording", path, &error))
}

/// The columns of a stream that ends at byte `end`.
fn schema(mut file: &File, path: &Path, end: u64) -> Result<SchemaRef, Error> {
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::io("read the recording", path, &error))?;
    let reader = StreamReader::try_new(BufReader::new(file.take(end)), None);
    let reader = reader.map_err(|error| {
        Error::data(format!("can't read the schema of the Arrow stream: {error}: {}", path.display()))
    })?;
    Ok(reader.schema())
}

fn not_a_stream(file: &mut File, path: &Path, found: &Scan) -> Error {
    let mut magic = [0; 6];
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut magic));
    let error = Error::data(format!("not an Arrow IPC stream: {}", path.display()));
    if read.is_ok() && &magic == b"ARROW1" {
        return error.with_hint("It is an Arrow IPC file (Feather): write it again in the stream format, with pyarrow.ipc.new_stream.");
    }
    if found.ending == Ending::Torn {
        error.with_hint("The file ends before its schema does.")
    } else {
        error
    }
}

/// Rows of a record batch that become one batch.
#[derive(Debug, Clone, Copy)]
struct Part {
    message: Placed,
    /// The first row, in the record batch and in the file.
    from: usize,
    first_row: u64,
    rows: usize,
}

/// Cuts record batches that would make batches too large.
fn parts(messages: &[Placed]) -> Vec<Part> {
    let (mut parts, mut first_row) = (Vec::with_capacity(messages.len()), 0);
    for &message in messages {
        let row_bytes = (message.body_bytes / message.rows).max(ROW_BYTES_MIN);
        let rows_max = (PART_BYTES_MAX / row_bytes).max(1);
        let mut from = 0;
        while from < message.rows {
            let rows = (message.rows - from).min(rows_max);
            let [Ok(from_here), Ok(rows_here)] = [from, rows].map(usize::try_from) else { break };
            parts.push(Part { message, from: from_here, first_row: first_row + from, rows: rows_here });
            from += rows;
        }
        first_row += message.rows;
    }
    parts
}

/// Streams whose columns stand in a file as they stand in a batch: all of fixed width, in the same order.
struct Direct {
    pool: BatchPool,
    /// Of each column of the file, in bytes.
    widths: Vec<usize>,
}

impl Direct {
    fn of(import: &ArrowImport) -> Option<Self> {
        let schema = import.schema();
        let width = |field: &Field| field.data_type.width().filter(|_| field.data_type != DataType::Bool);
        let widths = schema.fields().iter().map(width).collect::<Option<_>>()?;
        (import.lead() == [Some(0), Some(1)]).then(|| Self { pool: BatchPool::new(schema.clone()), widths })
    }
}

/// A recording that is read back.
struct ArrowSource {
    messages: Messages,
    import: ArrowImport,
    /// Where `seq` and `timestamp` stand in the file.
    lead: [Option<usize>; StreamSchema::LEAD],
    streams: Vec<Arc<StreamSchema>>,
    found: Scan,
    parts: Vec<Part>,
    wanted: bool,
    /// Where rows can be read straight into batches.
    direct: Option<Direct>,
    /// Made when it is first asked for: that reads the times of all rows.
    index: OnceCell<TimeIndex>,
    /// The part, and the row there, that comes next.
    at: Place,
    failed: bool,
    /// The record batch that was read last, and where it lies.
    held: Option<(u64, RecordBatch)>,
    cache: BlockCache,
}

impl ArrowSource {
    fn index(&self) -> Result<&TimeIndex, Error> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let mut index = TimeIndex::default();
        for part in &self.parts {
            index.push(&self.times_of(part)?);
        }
        Ok(self.index.get_or_init(|| index))
    }

    fn times_of(&self, part: &Part) -> Result<Vec<i64>, Error> {
        let Some(column) = self.lead[1] else { return Ok(vec![0; part.rows]) };
        let words = self.messages.words(part.message, column, part.from..part.from + part.rows)?;
        Ok(words.into_iter().map(i64::from_le_bytes).collect())
    }

    /// The first and the last `seq`.
    fn seq_range(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.parts.first()?, self.parts.last()?);
        let Some(column) = self.lead[0] else { return Some((0, self.found.rows - 1)) };
        let seq = |part: &Part, row: usize| {
            let words = self.messages.words(part.message, column, row..row + 1).ok()?;
            words.first().copied().map(u64::from_le_bytes)
        };
        Some((seq(first, first.from)?, seq(last, last.from + last.rows - 1)?))
    }

    /// The rows of a part from one of them on.
    fn rows_from(&mut self, part: Part, row: usize) -> Result<Batch, Error> {
        let rows = part.from + row..part.from + part.rows;
        if let Some(Direct { pool, widths }) = &mut self.direct {
            let mut builder = pool.builder(rows.len());
            builder.push_rows(rows.len());
            if self.messages.read_into(part.message, widths, rows, &mut builder)? {
                return Ok(builder.finish());
            }
        }
        self.rows_decoded(part, row)
    }

    /// The same by way of Arrow's arrays.
    fn rows_decoded(&mut self, part: Part, row: usize) -> Result<Batch, Error> {
        if self.held.as_ref().is_none_or(|(at, _)| *at != part.message.at) {
            // The memory of the one before is not needed any more.
            self.held = None;
            self.held = Some((part.message.at, self.messages.record(part.message)?));
        }
        let Some((_, record)) = &self.held else { return Err(Error::plugin("a record batch was not kept")) };
        if part.from + part.rows > record.num_rows() {
            return Err(self.messages.damaged(&"a message has fewer rows than it says"));
        }
        let slice = record.slice(part.from + row, part.rows - row);
        let batch = self.import.batch(&slice, part.first_row + row as u64);
        batch.map_err(|error| self.messages.damaged(&error))
    }

    fn advance(&mut self) -> Result<Option<Batch>, Error> {
        let (block, row) = self.at;
        let Some(&part) = self.parts.get(block) else { return self.end().map(|()| None) };
        let batch = match self.cache.get(block) {
            Some(batch) if row == 0 => batch.clone(),
            _ => self.rows_from(part, row)?,
        };
        self.at = (block + 1, 0);
        Ok(Some(batch))
    }
}

impl Blocks for ArrowSource {
    fn blocks(&self) -> usize {
        self.parts.len()
    }

    fn rows(&self, block: usize) -> usize {
        self.parts[block].rows
    }

    fn is_sorted(&self) -> bool {
        self.index.get().is_some_and(TimeIndex::is_sorted)
    }

    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        Ok(self.index()?.first_block(to))
    }

    fn batch(&mut self, block: usize) -> Result<Batch, Error> {
        if let Some(batch) = self.cache.get(block) {
            return Ok(batch.clone());
        }
        let batch = self.rows_from(self.parts[block], 0)?;
        self.cache.put(block, &batch);
        Ok(batch)
    }

    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
        self.times_of(&self.parts[block])
    }

    fn end(&self) -> Result<(), Error> {
        match &self.found.ending {
            Ending::Damaged(what) => {
                Err(self.messages.damaged(&format!("at byte {}: {what}", self.found.end)))
            }
            Ending::Marked | Ending::Torn => Ok(()),
        }
    }
}

impl Recording for ArrowSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        let timestamps = || self.index().ok().and_then(TimeIndex::range);
        (stream == 0).then(|| Extent {
            frames: self.found.rows,
            seq: self.seq_range(),
            timestamps: timestamps(),
        })
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        let streams = Wanted::of_streams(wanted, &self.streams)?;
        if let [Wanted::Columns(columns)] = wanted {
            let (import, from) = self.import.projected(columns)?;
            (self.import, self.messages.columns, self.direct) = (import, Some(from), None);
        }
        self.wanted = wanted != [Wanted::Nothing];
        self.streams = streams;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.find(to);
        self.failed = found.is_err();
        self.at = found?.unwrap_or((self.parts.len(), 0));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.failed || !self.wanted {
            return Ok(None);
        }
        let next = self.advance();
        self.failed = next.is_err();
        Ok(next?.map(|batch| (0, batch)))
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        if stream != 0 || !self.wanted {
            return Ok(None);
        }
        let found = self.nearest(to);
        self.failed |= found.is_err();
        found
    }
}
