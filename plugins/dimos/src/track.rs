//! One stream: the observations of one table, or of several that are one stream of ours, in the order of their ids. An observation that
//! can't be read is left out, and kept in mind.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tapedeck_kit::blocks::{BlockCache, Blocks, TimeIndex};
use tapedeck_kit::{seconds, tracks};
use tapedeck_sdk::prelude::*;

use crate::database::{failed, has_table, quoted};
use crate::fill::Filler;
use crate::names::POSE;
use crate::shape::{Table, Uses};

/// The observations of a block.
const BLOCK_ROWS: usize = 64;
/// About the most bytes of payloads that are read for one batch.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How many broken observations are named.
const NAMED_MAX: usize = 3;

/// A connection that all streams of a recording share.
pub(crate) type Shared = std::sync::Arc<std::sync::Mutex<Connection>>;

/// Consecutive observations.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: i64,
    last: i64,
    rows: usize,
}

/// A stream of a recording.
pub(crate) struct Track {
    schema: Arc<StreamSchema>,
    wanted: bool,
    connection: Shared,
    path: PathBuf,
    tables: Vec<Table>,
    /// The statements for ids and times, and for whole observations.
    times: String,
    rows: String,
    /// The columns as they are recorded, and where each is among those that are wanted.
    columns: Vec<Field>,
    places: Vec<Option<usize>>,
    blocks: Vec<Block>,
    index: TimeIndex,
    /// The id of the frame with the number 0.
    base: i64,
    frames: u64,
    pool: BatchPool,
    cache: BlockCache,
    /// The id that reading goes on at, and what was read ahead.
    next: i64,
    ahead: Option<Batch>,
    broken: Vec<String>,
    broken_count: u64,
}

/// Runs something with the connection.
fn with<T>(
    connection: &Shared,
    path: &Path,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Error> {
    let connection = connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    run(&connection).map_err(|error| failed("read the recording", path, &error))
}

/// What a table uses of its observations.
pub(crate) fn uses(connection: &Connection, table: &str) -> rusqlite::Result<Uses> {
    let any = |what: &str| {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {what})", quoted(table));
        connection.query_row(&sql, [], |row| row.get::<_, bool>(0))
    };
    Ok(Uses {
        value: any("value IS NOT NULL")?,
        pose: any("pose_x IS NOT NULL")?,
        tags: any("tags IS NOT NULL AND tags <> jsonb('{}') AND tags <> '{}'")?,
    })
}

/// The statements for the observations of these tables between two ids.
fn statements(connection: &Connection, tables: &[Table]) -> rusqlite::Result<(String, String)> {
    let (mut times, mut rows) = (String::new(), String::new());
    for (place, table) in tables.iter().enumerate() {
        let own = quoted(&table.name);
        let blobs = format!("{}_blob", table.name);
        let union = if place > 0 { " UNION ALL " } else { "" };
        let between = "WHERE m.id BETWEEN ?1 AND ?2";
        let (blob, join) = if has_table(connection, &blobs)? {
            ("b.data", format!("LEFT JOIN {} b ON b.id = m.id", quoted(&blobs)))
        } else {
            ("NULL", String::new())
        };
        let tags = "CASE WHEN json_valid(m.tags, 9) THEN json(m.tags) END";
        let pose = POSE.map(|name| format!("m.{name}")).join(", ");
        // Writing to a text never fails.
        _ = write!(times, "{union}SELECT m.id AS id, m.ts FROM {own} m {between}");
        _ = write!(
            rows,
            "{union}SELECT {place}, m.id AS id, m.ts, m.value, {tags}, {blob}, {pose} FROM {own} m {join} {between}"
        );
    }
    Ok((format!("{times} ORDER BY id"), format!("{rows} ORDER BY id")))
}

fn time(value: ValueRef<'_>) -> Option<i64> {
    let seconds = match value {
        ValueRef::Real(seconds) => seconds,
        #[expect(clippy::cast_precision_loss, reason = "whole seconds below 2^53")]
        ValueRef::Integer(seconds) => seconds as f64,
        _ => return None,
    };
    seconds::of_seconds(seconds).map(|time| time.0)
}

impl Track {
    /// The stream of these tables.
    pub(crate) fn open(
        connection: &Shared,
        path: &Path,
        schema: Arc<StreamSchema>,
        tables: Vec<Table>,
    ) -> Result<Self, Error> {
        let (times, rows) = if tables.is_empty() {
            Default::default()
        } else {
            with(connection, path, |connection| statements(connection, &tables))?
        };
        let mut track = Self {
            columns: schema.payload().to_vec(),
            places: (0..schema.payload().len()).map(Some).collect(),
            pool: BatchPool::new(schema.clone()),
            schema,
            wanted: true,
            connection: connection.clone(),
            path: path.to_owned(),
            tables,
            times,
            rows,
            blocks: Vec::new(),
            index: TimeIndex::default(),
            base: 1,
            frames: 0,
            cache: BlockCache::default(),
            next: i64::MIN,
            ahead: None,
            broken: Vec::new(),
            broken_count: 0,
        };
        track.scan()?;
        Ok(track)
    }

    /// Finds the observations and their times.
    fn scan(&mut self) -> Result<(), Error> {
        if self.tables.is_empty() {
            return Ok(());
        }
        let mut pending: Vec<(i64, i64)> = Vec::with_capacity(BLOCK_ROWS);
        let (mut blocks, mut index, mut frames, mut bad) = (Vec::new(), TimeIndex::default(), 0, Vec::new());
        let mut close = |pending: &mut Vec<(i64, i64)>| {
            if let (Some(&(first, _)), Some(&(last, _))) = (pending.first(), pending.last()) {
                let times: Vec<i64> = pending.iter().map(|(_, time)| *time).collect();
                index.push(&times);
                blocks.push(Block { first, last, rows: times.len() });
                frames += times.len() as u64;
                pending.clear();
            }
        };
        with(&self.connection, &self.path, |connection| {
            let mut statement = connection.prepare(&self.times)?;
            let mut rows = statement.query([i64::MIN, i64::MAX])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                match time(row.get_ref(1)?) {
                    _ if last == Some(id) => bad.push((id, "its id comes twice")),
                    Some(time) => pending.push((id, time)),
                    None => bad.push((id, "its time is none")),
                }
                last = Some(id);
                if pending.len() == BLOCK_ROWS {
                    close(&mut pending);
                }
            }
            close(&mut pending);
            Ok(())
        })?;
        (self.blocks, self.index, self.frames) = (blocks, index, frames);
        self.base = self.blocks.first().map_or(1, |block| block.first.min(1));
        bad.iter().for_each(|(id, why)| self.broken(*id, why));
        Ok(())
    }

    fn broken(&mut self, id: i64, why: &str) {
        self.broken_count += 1;
        if self.broken.len() < NAMED_MAX {
            self.broken.push(format!("observation {id}: {why}"));
        }
    }

    fn number(&self, id: i64) -> u64 {
        id.wrapping_sub(self.base).cast_unsigned()
    }

    /// The ids and times of a block.
    fn ids(&mut self, block: usize) -> Result<Vec<(i64, i64)>, Error> {
        let Block { first, last, .. } = self.blocks[block];
        with(&self.connection, &self.path, |connection| {
            let mut statement = connection.prepare_cached(&self.times)?;
            let mut rows = statement.query([first, last])?;
            let mut found: Vec<(i64, i64)> = Vec::with_capacity(BLOCK_ROWS);
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if let Some(time) =
                    time(row.get_ref(1)?).filter(|_| found.last().is_none_or(|(last, _)| *last < id))
                {
                    found.push((id, time));
                }
            }
            Ok(found)
        })
    }

    /// Reads observations from one id to another, at most a block of them where `some` are enough. Sets where reading goes on.
    fn read(&mut self, from: i64, to: i64, bytes_max: usize, some: bool) -> Result<Batch, Error> {
        let mut builder = self.pool.builder(BLOCK_ROWS);
        let (mut bytes, mut bad, mut next) = (0, Vec::new(), i64::MAX);
        let filler = Filler { tables: &self.tables, columns: &self.columns, places: &self.places };
        let base = self.base;
        with(&self.connection, &self.path, |connection| {
            let mut statement = connection.prepare_cached(&self.rows)?;
            let mut rows = statement.query([from, to])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(1)?;
                if (some && builder.rows() == BLOCK_ROWS) || bytes >= bytes_max {
                    next = id;
                    break;
                }
                // Told when the file was opened.
                let Some(time) = time(row.get_ref(2)?).filter(|_| last != Some(id)) else { continue };
                last = Some(id);
                bytes += row.get_ref(5)?.as_blob().map_or(0, <[u8]>::len);
                match filler.look(row)? {
                    Ok(observation) => {
                        filler.fill(row, &observation, &mut builder.push_row(Timestamp(time)))?;
                        let place = builder.rows() - 1;
                        builder.seq_mut()[place] = id.wrapping_sub(base).cast_unsigned();
                    }
                    Err(why) => bad.push((id, why)),
                }
            }
            Ok(())
        })?;
        let batch = builder.finish();
        if some {
            // Each is told once, whatever is read again.
            bad.iter().filter(|(id, _)| *id >= self.next).for_each(|(id, why)| {
                let told = format!("observation {id}: {why}");
                if !self.broken.contains(&told) {
                    self.broken_count += 1;
                    if self.broken.len() < NAMED_MAX {
                        self.broken.push(told);
                    }
                }
            });
            self.next = next;
        }
        Ok(batch)
    }
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
            self.places = (0..self.columns.len()).map(place).collect();
        }
        self.wanted = *wanted != Wanted::Nothing;
        self.pool = BatchPool::new(schema.clone());
        self.schema = schema.clone();
        (self.cache, self.ahead) = (BlockCache::default(), None);
    }

    fn extent(&self) -> Extent {
        let ends = self.blocks.first().zip(self.blocks.last());
        Extent {
            frames: self.frames,
            seq: ends.map(|(first, last)| (self.number(first.first), self.number(last.last))),
            timestamps: self.index.range(),
        }
    }

    fn go_to(&mut self, to: Timestamp) -> Result<(), Error> {
        let found = self.find(to)?;
        self.ahead = None;
        self.next = match found {
            None => i64::MAX,
            Some((block, row)) => self.ids(block)?.get(row).map_or(i64::MAX, |(id, _)| *id),
        };
        Ok(())
    }

    fn next_time(&mut self) -> Result<Option<i64>, Error> {
        let any = self.wanted && !self.tables.is_empty();
        while any && self.ahead.is_none() && self.next < i64::MAX {
            let batch = self.read(self.next, i64::MAX - 1, BATCH_BYTES_MAX, true)?;
            self.ahead = Some(batch).filter(|batch| batch.rows() > 0);
        }
        Ok(self.ahead.as_ref().and_then(|batch| batch.timestamps().first().copied()))
    }

    fn take(&mut self) -> Option<Batch> {
        self.ahead.take()
    }

    fn damage(&self) -> Option<Error> {
        if self.broken_count == 0 {
            return None;
        }
        let more = self.broken_count - self.broken.len() as u64;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let (count, named) = (self.broken_count, self.broken.join(", "));
        let name = self.schema.name();
        let message = format!(
            "{count} frames of stream \"{name}\" can't be read: {named}{more}: {}",
            self.path.display()
        );
        Some(Error::data(message).with_hint("the others are whole"))
    }
}

impl Blocks for Track {
    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn rows(&self, block: usize) -> usize {
        self.blocks.get(block).map_or(0, |block| block.rows)
    }

    fn is_sorted(&self) -> bool {
        self.index.is_sorted()
    }

    fn first_block(&mut self, to: Timestamp) -> Result<Option<usize>, Error> {
        Ok(self.index.first_block(to))
    }

    fn batch(&mut self, block: usize) -> Result<Batch, Error> {
        if let Some(batch) = self.cache.get(block) {
            return Ok(batch.clone());
        }
        let Block { first, last, rows } = self.blocks[block];
        let batch = self.read(first, last, usize::MAX, false)?;
        if batch.rows() != rows {
            let name = self.schema.name();
            let message = format!(
                "frames of stream \"{name}\" near this moment can't be read: {}",
                self.path.display()
            );
            return Err(Error::data(message));
        }
        self.cache.put(block, &batch);
        Ok(batch)
    }

    fn times(&mut self, block: usize) -> Result<Vec<i64>, Error> {
        Ok(self.ids(block)?.into_iter().map(|(_, time)| time).collect())
    }

    fn look<T>(&mut self, block: usize, look: impl FnOnce(&[i64]) -> T) -> Result<T, Error> {
        Ok(look(&self.times(block)?))
    }
}
