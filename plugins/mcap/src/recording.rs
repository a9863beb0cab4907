//! A recording that is read back: its streams in batches, from any moment on. What lies where is `order`'s business, what a message means
//! `streams`'.

use std::cell::OnceCell;
use std::collections::VecDeque;

use tapedeck_sdk::prelude::*;

use crate::chunk::Place;
use crate::extents::{self, Counts};
use crate::index::{Contents, Ending, Part};
use crate::order::{Cursor, Store, Stretch};
use crate::streams::{Source, Streams};

/// The most rows that are put in order at once, and about the most bytes.
const ROWS_MAX: usize = 8192;
const WINDOW_BYTES: usize = 4 << 20;
/// About the most bytes of parts that are held for them: a stream may have few rows in each.
const HELD_BYTES_MAX: usize = 32 << 20;
/// How many stretches back a part is looked for among those that are held.
const PARTS_LOOKED_AT: usize = 64;
/// About the most bytes of a batch, unless a row has more.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// A stream as it is wanted.
struct Selected {
    wanted: bool,
    /// Where each column is among those that are wanted.
    places: Vec<Option<usize>>,
    pool: BatchPool,
    rows_max: usize,
    /// The number of the next row, where rows are numbered by their place.
    next: u64,
    /// Whether the first frame at or after the moment that was looked for has come.
    begun: bool,
}

impl Selected {
    fn new(schema: &Arc<StreamSchema>) -> Self {
        let width = |field: &Field| field.data_type.width().unwrap_or(8);
        let row_bytes: usize = schema.fields().iter().map(width).sum();
        Self {
            wanted: true,
            places: (0..schema.payload().len()).map(Some).collect(),
            pool: BatchPool::new(schema.clone()),
            rows_max: (BATCH_BYTES_MAX / row_bytes).clamp(1, ROWS_MAX),
            next: 0,
            begun: true,
        }
    }
}

/// A message that becomes a row.
#[derive(Clone, Copy)]
struct Row {
    /// How many rows come before it, of all streams that are put in order together.
    order: usize,
    /// Which stretch it is of.
    stretch: usize,
    place: Place,
}

/// A batch with the order of its first row, and its stream.
type Placed = (usize, usize, Batch);

/// A recording of one or several files.
pub(crate) struct McapRecording {
    store: Store,
    streams: Streams,
    /// The streams with the columns that are wanted.
    schemas: Vec<Arc<StreamSchema>>,
    selected: Vec<Selected>,
    counts: Counts,
    extents: OnceCell<Vec<Option<Extent>>>,
    cursor: Cursor,
    /// The moment that was looked for.
    from: i64,
    ready: VecDeque<(usize, Batch)>,
    /// What is to be told once `ready` is given.
    pending: Option<Error>,
    /// What is wrong with the end of a file.
    damaged: Option<Error>,
    failed: bool,
}

impl McapRecording {
    /// Of the files of a recording and what is in each.
    pub(crate) fn new(files: Vec<(crate::index::Bytes, Contents)>) -> Result<Self, Error> {
        let mut streams = Streams::default();
        let (mut stored, mut parts, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut damaged = None;
        for (number, (bytes, contents)) in files.into_iter().enumerate() {
            streams.add(number, &contents)?;
            if let &[(at, end), ..] = contents.gaps.as_slice() {
                let what = format!("{} bytes make no sense; what follows them was read", end - at);
                damaged = Some(bytes.damaged(at, &what));
            }
            if let Ending::Damaged(what) = &contents.ending {
                damaged = Some(bytes.damaged(contents.end, what));
            }
            parts.extend(contents.parts.into_iter().map(|part| Part { file: number, ..part }));
            counts.push(contents.counts);
            stored.push(bytes);
        }
        let by_time = !streams.all_own() || stored.len() > 1;
        Ok(Self {
            schemas: streams.schemas.clone(),
            selected: streams.schemas.iter().map(Selected::new).collect(),
            store: Store::new(stored, parts, by_time),
            streams,
            counts,
            extents: OnceCell::new(),
            cursor: Cursor::default(),
            from: i64::MIN,
            ready: VecDeque::new(),
            pending: None,
            damaged,
            failed: false,
        })
    }

    /// Puts the next messages in order and makes batches of them. None are left if there are none.
    fn fill(&mut self) -> Result<(), Error> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut rows: Vec<Vec<Row>> = vec![Vec::new(); self.selected.len()];
        let (mut count, mut bytes, mut held_bytes) = (0, 0, 0);
        while count < ROWS_MAX && bytes < WINDOW_BYTES && held_bytes < HELD_BYTES_MAX {
            let (streams, selected) = (&self.streams, &self.selected);
            let wanted = |part: &Part| {
                part.may_have(|channel| {
                    let source = streams.source(part.file, channel);
                    source.is_some_and(|source| selected[source.stream].wanted)
                })
            };
            let next = self.cursor.next(&mut self.store, ROWS_MAX - count, &wanted);
            // What was put in order before an error is given first.
            let stretch = match next {
                Ok(Some(stretch)) => stretch,
                Ok(None) => break,
                // What follows a damaged chunk is given; the damage is told at the end.
                Err(error) if error.kind == ErrorKind::Data => {
                    self.damaged.get_or_insert(error);
                    continue;
                }
                Err(error) if count > 0 => {
                    self.pending = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let file = self.store.parts[stretch.part].file;
            let before = count;
            for &place in &stretch.loaded.places[stretch.places.clone()] {
                let Some(source) = self.streams.source(file, place.channel) else { continue };
                let selected = &mut self.selected[source.stream];
                selected.begun |= place.time >= self.from;
                if selected.wanted && selected.begun {
                    rows[source.stream].push(Row { order: count, stretch: stretches.len(), place });
                    count += 1;
                    bytes += place.byte_len() + source.text_bytes;
                }
            }
            if count > before {
                // Where parts overlap, many stretches are of the same few.
                if stretches.iter().rev().take(PARTS_LOOKED_AT).all(|held| held.part != stretch.part) {
                    held_bytes += stretch.loaded.byte_len();
                }
                stretches.push(stretch);
            }
        }
        let mut batches = Vec::new();
        for (stream, rows) in rows.iter().enumerate() {
            self.batches(stream, rows, &stretches, &mut batches);
        }
        // Batches of a stream stay in their order, wherever its time goes.
        batches.sort_by_key(|(order, ..)| *order);
        self.ready.extend(batches.into_iter().map(|(_, stream, batch)| (stream, batch)));
        Ok(())
    }

    /// Makes batches of the rows of a stream. A message that makes no sense is told of after the rows before it.
    fn batches(&mut self, stream: usize, rows: &[Row], stretches: &[Stretch], out: &mut Vec<Placed>) {
        let mut rest = rows;
        while !rest.is_empty() {
            let mut bytes = 0;
            let (streams, parts) = (&self.streams, &self.store.parts);
            let small = |row: &&Row| {
                let fits = bytes < BATCH_BYTES_MAX;
                let source = streams.source(parts[stretches[row.stretch].part].file, row.place.channel);
                bytes += row.place.byte_len() + source.map_or(0, |source| source.text_bytes);
                fits
            };
            let count = rest.iter().take(self.selected[stream].rows_max).take_while(small).count();
            let (now, later) = rest.split_at(count);
            let first = now[0].order;
            match self.batch(stream, now, stretches) {
                Ok(batch) => out.push((first, stream, batch)),
                Err((good, error)) => {
                    let before = self.batch(stream, &now[..good], stretches);
                    let before = before.ok().filter(|batch| batch.rows() > 0);
                    out.extend(before.map(|batch| (first, stream, batch)));
                    self.pending = Some(error);
                    return;
                }
            }
            rest = later;
        }
    }

    /// A batch of these rows; if it can't be made, how many rows are good and what is wrong with the next one.
    fn batch(&mut self, stream: usize, rows: &[Row], stretches: &[Stretch]) -> Result<Batch, (usize, Error)> {
        let selected = &mut self.selected[stream];
        let mut builder = selected.pool.builder(rows.len());
        for (row, &Row { stretch, place, .. }) in rows.iter().enumerate() {
            let stretch = &stretches[stretch];
            let part = &self.store.parts[stretch.part];
            let wrong = |what: &str| {
                let what = format!("a message of stream \"{}\": {what}", self.schemas[stream].name());
                (row, self.store.files[part.file].damaged(part.at, &what))
            };
            let source = self.streams.source(part.file, place.channel);
            let source = source.ok_or_else(|| wrong("its channel is not known"))?;
            let (header, data) = stretch.loaded.message(place);
            let mut writer = builder.push_row(Timestamp(place.time));
            source.fill((&header, data), &selected.places, &mut writer).map_err(wrong)?;
            builder.seq_mut()[row] = number(source, header.sequence, &mut selected.next);
        }
        Ok(builder.finish())
    }

    /// Numbers the next rows of streams that have no numbers: as many rows of each come before this moment.
    fn number_from(&mut self, to: i64) -> Result<(), Error> {
        for stream in 0..self.selected.len() {
            if self.streams.own[stream] || !self.selected[stream].wanted {
                continue;
            }
            self.selected[stream].next = extents::rank(&mut self.store, &self.streams, stream, to)?;
        }
        Ok(())
    }

    fn nearest(&mut self, stream: usize, to: i64) -> Result<Option<(Batch, usize)>, Error> {
        let Some((part, place)) = extents::nearest(&mut self.store, &self.streams, stream, to)? else {
            return Ok(None);
        };
        if !self.streams.own[stream] {
            self.selected[stream].next = extents::rank(&mut self.store, &self.streams, stream, place.time)?;
        }
        let loaded = self.store.load(part)?;
        let stretch = Stretch { part, loaded, places: 0..0 };
        self.batch(stream, &[Row { order: 0, stretch: 0, place }], &[stretch])
            .map(|batch| Some((batch, 0)))
            .map_err(|(_, error)| error)
    }

    fn begin_at(&mut self, to: Timestamp) -> Result<(), Error> {
        self.ready.clear();
        self.pending = None;
        (self.cursor, self.from) = (Cursor::at(to.0), to.0);
        for selected in &mut self.selected {
            (selected.next, selected.begun) = (0, false);
        }
        if to.0 > i64::MIN { self.number_from(to.0) } else { Ok(()) }
    }

    fn advance(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.ready.is_empty() {
            if let Some(error) = self.pending.take() {
                return Err(error);
            }
            self.fill()?;
        }
        let batch = self.ready.pop_front();
        let error = self.pending.take_if(|_| batch.is_none());
        match error.or_else(|| self.damaged.clone().filter(|_| batch.is_none())) {
            Some(error) => Err(error),
            None => Ok(batch),
        }
    }
}

/// The `seq` of a row.
fn number(source: &Source, sequence: u32, next: &mut u64) -> u64 {
    match source.base {
        Some(base) => base.wrapping_add(sequence.into()),
        None => {
            let number = *next;
            *next += 1;
            number
        }
    }
}

impl Recording for McapRecording {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.schemas
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        let all = || extents::all(&self.store, &self.streams, &self.counts);
        self.extents.get_or_init(all).get(stream).copied().flatten()
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        let schemas = Wanted::of_streams(wanted, &self.schemas)?;
        for (stream, (wanted, schema)) in wanted.iter().zip(&schemas).enumerate() {
            let mut selected = Selected::new(schema);
            selected.wanted = *wanted != Wanted::Nothing;
            if let Wanted::Columns(columns) = wanted {
                let place = |column: usize| columns.iter().position(|&wanted| wanted == column);
                selected.places = (0..self.schemas[stream].payload().len()).map(place).collect();
            }
            self.selected[stream] = selected;
        }
        self.schemas = schemas;
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.begin_at(to);
        self.failed = found.is_err();
        found
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if self.failed {
            return Ok(None);
        }
        let next = self.advance();
        self.failed = next.is_err();
        next
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        if !self.selected.get(stream).is_some_and(|selected| selected.wanted) {
            return Ok(None);
        }
        self.nearest(stream, to.0)
    }
}
