//! One stream: the frames of a folder with their times, read in blocks. A file that can't be read is taken out of them, and kept in mind.

use std::path::{Path, PathBuf};

use tapedeck_kit::blocks::{BlockCache, Blocks, TimeIndex};
use tapedeck_kit::pickle::{Limits, Payload, Pickle, Value, cells, payload_of};
use tapedeck_sdk::SchemaBuilder;
use tapedeck_sdk::kinds::message;
use tapedeck_sdk::prelude::*;

use tapedeck_kit::{seconds, tracks};

use crate::columns::Keys;
use crate::{ENCODING, TIME_COLUMN, folder};

/// The frames of a block.
const BLOCK_ROWS: usize = 64;
/// About the most bytes of files that are read for one batch.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How much of a file is read to know its time.
const HEAD_BYTES: usize = 128;
/// The largest file whose payload may become columns.
const DICT_BYTES_MAX: usize = 1 << 20;
/// How many broken files are named.
const NAMED_MAX: usize = 3;

pub(crate) const LIMITS: Limits =
    Limits { bytes_max: folder::FILE_BYTES_MAX, objects_max: 8 << 20, depth_max: 500 };

/// A frame's file.
struct Frame {
    number: u64,
    name: String,
    time: i64,
}

/// A stream of a recording.
pub(crate) struct Track {
    schema: Arc<StreamSchema>,
    wanted: bool,
    /// The frame that comes next.
    at: usize,
    folder: PathBuf,
    frames: Vec<Frame>,
    index: TimeIndex,
    shape: Shape,
    pool: BatchPool,
    cache: BlockCache,
    broken: Vec<String>,
    broken_count: usize,
}

/// A timestamp as it was pickled.
pub(crate) fn seconds_of(value: &Value) -> Option<f64> {
    match value {
        Value::Float(seconds) => Some(*seconds),
        #[expect(clippy::cast_precision_loss, reason = "whole seconds below 2^53")]
        Value::Int(seconds) => Some(*seconds as f64),
        _ => None,
    }
}

fn seconds(payload: &Payload) -> Result<f64, Error> {
    seconds_of(payload.pickle.get(payload.first))
        .or_else(|| scalar(&payload.pickle, payload.first))
        .filter(|&seconds| seconds::of_seconds(seconds).is_some())
        .ok_or_else(|| Error::data("its timestamp is not a number of seconds since 1970"))
}

/// A timestamp that is a scalar of numpy's.
fn scalar(pickle: &Pickle, id: tapedeck_kit::pickle::Id) -> Option<f64> {
    let array = pickle.array(id).filter(|array| array.shape.is_empty() && array.dtype == "<f8")?;
    array.data.try_into().ok().map(f64::from_le_bytes)
}

impl Track {
    /// The frames of a folder, as a stream of this name.
    pub(crate) fn open(path: &Path, name: &str) -> Result<Self, Error> {
        let schema = message::schema(name).build()?;
        let mut track = Self {
            pool: BatchPool::new(schema.clone()),
            schema,
            wanted: true,
            at: 0,
            folder: path.to_owned(),
            frames: Vec::new(),
            index: TimeIndex::default(),
            shape: Shape { name: name.to_owned(), ..Shape::default() },
            cache: BlockCache::default(),
            broken: Vec::new(),
            broken_count: 0,
        };
        let keys = track.scan()?;
        let floats = track.shape.floats;
        let build = |schema: SchemaBuilder| {
            if floats { schema.field(TIME_COLUMN, DataType::Float64).build() } else { schema.build() }
        };
        // Some keys no column can be called by.
        let typed = keys.and_then(|keys| keys.schema(name)).and_then(|schema| build(schema).ok());
        track.shape.typed = typed.is_some();
        let schema = typed.map_or_else(|| build(message::schema(name)), Ok)?;
        track.shape.types = schema.payload().iter().map(|field| field.data_type).collect();
        track.shape.places = (0..track.shape.types.len()).map(Some).collect();
        track.pool = BatchPool::new(schema.clone());
        track.schema = schema;
        track.reindex();
        Ok(track)
    }

    /// Finds the frames and their times; and the keys of the payloads, if all have the same.
    fn scan(&mut self) -> Result<Option<Keys>, Error> {
        let mut keys = Some(Keys::default());
        let mut bytes = Vec::new();
        for (number, name) in folder::frames(&self.folder)? {
            let path = self.folder.join(&name);
            let found = match &mut keys {
                Some(so_far) => match seen(&path, &mut bytes, so_far) {
                    Ok((seconds, true)) => Ok(seconds),
                    Ok((seconds, false)) => {
                        keys = None;
                        Ok(seconds)
                    }
                    Err(error) => Err(error),
                },
                None => time_of(&path, &mut bytes),
            };
            match found.map(|seconds| (seconds, seconds::of_seconds(seconds))) {
                Ok((seconds, Some(time))) => {
                    self.shape.floats |= seconds::to_seconds(time).to_bits() != seconds.to_bits();
                    self.frames.push(Frame { number, name, time: time.0 });
                }
                Ok((_, None)) => self.broken(&name, "its timestamp is out of range"),
                Err(error) => self.broken(&name, &error.message),
            }
        }
        // Two files of the same number: frames are counted instead.
        if !self.frames.is_sorted_by(|a, b| a.number < b.number) {
            (0..).zip(&mut self.frames).for_each(|(number, frame)| frame.number = number);
        }
        Ok(keys.filter(|_| !self.frames.is_empty()))
    }

    fn broken(&mut self, name: &str, why: &str) {
        self.broken_count += 1;
        if self.broken.len() < NAMED_MAX {
            self.broken.push(format!("{name}: {why}"));
        }
    }

    fn reindex(&mut self) {
        self.index = TimeIndex::default();
        let times: Vec<i64> = self.frames.iter().map(|frame| frame.time).collect();
        times.chunks(BLOCK_ROWS).for_each(|times| self.index.push(times));
        self.cache = BlockCache::default();
    }

    /// Reads frames. One that can't be read is taken out.
    fn read(&mut self, from: usize, rows_max: usize, bytes_max: usize) -> Batch {
        let end = self.frames.len().min(from + rows_max);
        let mut builder = self.pool.builder(end - from);
        let (mut bytes, mut total) = (Vec::new(), 0);
        let mut bad = Vec::new();
        let shape = &self.shape;
        for index in from..end {
            let frame = &self.frames[index];
            let path = self.folder.join(&frame.name);
            let read = folder::read(&path, &mut bytes).and_then(|()| payload_of(&bytes, &LIMITS));
            let read = read.and_then(|payload| seconds(&payload).map(|seconds| (payload, seconds)));
            total += bytes.len();
            match read.and_then(|(payload, seconds)| shape.check(payload).map(|payload| (payload, seconds))) {
                Ok((payload, seconds)) => {
                    let mut row = builder.push_row(Timestamp(frame.time));
                    shape.fill(&mut row, &payload, seconds);
                    let row = builder.rows() - 1;
                    builder.seq_mut()[row] = frame.number;
                }
                Err(error) => bad.push((index, error.message)),
            }
            if total >= bytes_max {
                break;
            }
        }
        let batch = builder.finish();
        for (index, why) in bad.into_iter().rev() {
            let frame = self.frames.remove(index);
            self.broken(&frame.name, &why);
        }
        batch
    }
}

/// How payloads become rows.
#[derive(Default)]
struct Shape {
    /// The stream's name: the topic of messages.
    name: String,
    /// Whether payloads are columns, else messages.
    typed: bool,
    /// Whether the times are kept as floats, too.
    floats: bool,
    /// Where each column is among those that are wanted.
    places: Vec<Option<usize>>,
    types: Vec<DataType>,
}

impl Shape {
    /// Whether a payload is still what it was when the folder was opened.
    fn check<'p>(&self, payload: Payload<'p>) -> Result<Payload<'p>, Error> {
        let Value::Dict(pairs) = payload.pickle.get(payload.second) else {
            return if self.typed { Err(changed()) } else { Ok(payload) };
        };
        let fits = !self.typed || pairs.len() + usize::from(self.floats) == self.types.len();
        if fits { Ok(payload) } else { Err(changed()) }
    }

    fn fill(&self, row: &mut RowWriter<'_, '_>, payload: &Payload, seconds: f64) {
        let place = |column: usize| self.places.get(column).copied().flatten();
        if self.floats
            && let Some(place) = place(self.types.len() - 1)
        {
            row.set(place, seconds);
        }
        match payload.pickle.get(payload.second) {
            Value::Dict(pairs) if self.typed => {
                for (column, (_, value)) in pairs.iter().enumerate() {
                    let Some(place) = place(column) else { continue };
                    if !cells::set(row, place, self.types[column], payload.pickle.get(*value)) {
                        row.set_null(place);
                    }
                }
            }
            _ => {
                let texts = [Some(self.name.as_str()), Some(ENCODING), None];
                for (column, text) in texts.into_iter().enumerate() {
                    let Some(place) = place(column) else { continue };
                    match text {
                        Some(text) => row.set_str(place, text),
                        None => row.set_bytes(place, &payload.bytes),
                    };
                }
            }
        }
    }
}

fn changed() -> Error {
    Error::data("it has changed since the folder was opened")
}

/// The time of a frame, and whether its payload goes on having the same keys.
fn seen(path: &Path, bytes: &mut Vec<u8>, keys: &mut Keys) -> Result<(f64, bool), Error> {
    folder::read(path, bytes)?;
    let payload = payload_of(bytes, &LIMITS)?;
    let fits = bytes.len() <= DICT_BYTES_MAX && keys.see(&payload.pickle, payload.second);
    Ok((seconds(&payload)?, fits))
}

/// The time of a frame, by its first bytes where these tell; its last byte tells if it is torn.
fn time_of(path: &Path, bytes: &mut Vec<u8>) -> Result<f64, Error> {
    let mut buffer = [0; HEAD_BYTES];
    let (head, last) = folder::head(path, &mut buffer)?;
    if last == Some(b'.')
        && let Some(seconds) = tapedeck_kit::pickle::leading_float(head)
    {
        return Ok(seconds);
    }
    seconds_in(path, bytes)
}

/// The time of a frame that is whole.
pub(crate) fn seconds_in(path: &Path, bytes: &mut Vec<u8>) -> Result<f64, Error> {
    folder::read(path, bytes)?;
    seconds(&payload_of(bytes, &LIMITS)?)
}

impl tracks::Track for Track {
    fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    fn is_wanted(&self) -> bool {
        self.wanted
    }

    fn select(&mut self, wanted: &Wanted, schema: &Arc<StreamSchema>) {
        if let Wanted::Columns(columns) = wanted {
            let place = |column: usize| columns.iter().position(|&wanted| wanted == column);
            self.shape.places = (0..self.shape.types.len()).map(place).collect();
        }
        self.wanted = *wanted != Wanted::Nothing;
        self.pool = BatchPool::new(schema.clone());
        self.schema = schema.clone();
        self.cache = BlockCache::default();
    }

    fn extent(&self) -> Extent {
        let seq = self.frames.first().zip(self.frames.last());
        Extent {
            frames: self.frames.len() as u64,
            seq: seq.map(|(first, last)| (first.number, last.number)),
            timestamps: self.index.range(),
        }
    }

    fn go_to(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.find(to)?;
        self.at = found.map_or(self.frames.len(), |(block, row)| block * BLOCK_ROWS + row);
        Ok(())
    }

    fn next_time(&mut self) -> Result<Option<i64>, Error> {
        Ok(self.frames.get(self.at).filter(|_| self.wanted).map(|frame| frame.time))
    }

    fn take(&mut self) -> Option<Batch> {
        while self.at < self.frames.len() {
            let batch = self.read(self.at, BLOCK_ROWS, BATCH_BYTES_MAX);
            self.at += batch.rows();
            if batch.rows() > 0 {
                return Some(batch);
            }
        }
        None
    }

    fn damage(&self) -> Option<Error> {
        if self.broken_count == 0 {
            return None;
        }
        let more = self.broken_count - self.broken.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let all = self.frames.len() + self.broken_count;
        let (count, named) = (self.broken_count, self.broken.join(", "));
        let message =
            format!("{count} of {all} frames can't be read: {named}{more}: {}", self.folder.display());
        Some(Error::data(message).with_hint("the others are whole"))
    }
}

impl Blocks for Track {
    fn blocks(&self) -> usize {
        self.frames.len().div_ceil(BLOCK_ROWS)
    }

    fn rows(&self, block: usize) -> usize {
        self.frames.len().saturating_sub(block * BLOCK_ROWS).min(BLOCK_ROWS)
    }

    fn is_sorted(&self) -> bool {
        self.index.is_sorted()
    }

    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        Ok(self.index.first_block(to))
    }

    fn batch(&mut self, block: usize) -> Result<Batch, Error> {
        loop {
            if let Some(batch) = self.cache.get(block) {
                return Ok(batch.clone());
            }
            let rows = self.rows(block);
            let batch = self.read(block * BLOCK_ROWS, BLOCK_ROWS, usize::MAX);
            if batch.rows() == rows {
                self.cache.put(block, &batch);
                return Ok(batch);
            }
            self.reindex();
            if self.rows(block) == 0 {
                return Ok(batch);
            }
        }
    }

    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
        let from = block * BLOCK_ROWS;
        Ok(self.frames[from..from + self.rows(block)].iter().map(|frame| frame.time).collect())
    }

    fn look<T>(&mut self, block: usize, look: impl FnOnce(&[i64]) -> T) -> Result<T, Error> {
        Ok(look(&self.times(block)?))
    }
}
