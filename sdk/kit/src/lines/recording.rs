//! A file of lines as a recording of one stream. Knows no format.

use std::path::Path;
use std::sync::Arc;

use super::rows::{Row, RowCursor, RowReader};
use tapedeck_sdk::{
    Batch, BatchBuilder, BatchPool, Error, Extent, Recording, StreamSchema, Timestamp, Wanted,
};

/// The most rows of a batch, and about the most bytes.
const BATCH_ROWS_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 8 << 20;

/// A file of lines that is read back.
pub struct LineRecording<R> {
    cursor: RowCursor<R>,
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    /// Whether any frames are wanted.
    wanted: bool,
    /// Why there are no more frames until the next seek.
    failure: Option<Error>,
}

impl<R: RowReader> LineRecording<R> {
    /// Frames of this schema from the rows of a cursor.
    ///
    /// # Errors
    /// Reading failed.
    pub fn new(mut cursor: RowCursor<R>, schema: Arc<StreamSchema>) -> Result<Self, Error> {
        cursor.rows_mut().choose(&schema);
        cursor.seek(i64::MIN)?;
        let pool = BatchPool::new(schema.clone());
        Ok(Self { cursor, streams: [schema], pool, wanted: true, failure: None })
    }

    fn single(&self, stream: usize) -> Result<(), Error> {
        let error = || {
            Error::data(format!(
                "there is no stream {stream}, the file has one: {}",
                self.cursor.path().display()
            ))
        };
        if stream == 0 { Ok(()) } else { Err(error()) }
    }

    /// Keeps an error in mind: nothing is given after it.
    fn remembered<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.failure = result.as_ref().err().cloned();
        result
    }

    /// The row nearest to a moment, as a batch.
    fn nearest(&mut self, to: Timestamp) -> Result<Option<Batch>, Error> {
        let row = self.cursor.closest(to.0)?;
        // Nobody knows how near the frames are that the damage hides.
        if let Some(damage) = self.cursor.damage().filter(|_| !self.cursor.reaches(to.0)) {
            return Err(damage);
        }
        let Some(row) = row else { return Ok(None) };
        let mut pool = BatchPool::new(self.streams[0].clone());
        let mut builder = pool.builder(1);
        put(&self.cursor, &row, &mut builder)?;
        Ok(Some(builder.finish()))
    }
}

/// Adds the row in hand.
fn put<R: RowReader>(cursor: &RowCursor<R>, row: &Row, builder: &mut BatchBuilder<'_>) -> Result<(), Error> {
    let filled = cursor.rows().fill(&mut builder.push_row(Timestamp(row.time)));
    let last = builder.rows() - 1;
    builder.seq_mut()[last] = row.seq;
    let line = row.place.line;
    filled.ok_or_else(|| cursor.damaged(&format!("{} {line} has a value that can't be read", R::UNIT)))
}

/// How many rows of the schema a batch has room for.
fn rows_max(schema: &StreamSchema) -> usize {
    (BATCH_BYTES_MAX / (64 + 16 * schema.fields().len())).clamp(1, BATCH_ROWS_MAX)
}

impl<R: RowReader> Recording for LineRecording<R> {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, stream: usize) -> Option<Extent> {
        self.cursor.extent().filter(|_| stream == 0)
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        let streams = Wanted::of_streams(wanted, &self.streams)?;
        self.wanted = *wanted != [Wanted::Nothing];
        for (stream, schema) in self.streams.iter_mut().zip(streams) {
            self.cursor.rows_mut().choose(&schema);
            self.pool = BatchPool::new(schema.clone());
            *stream = schema;
        }
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        let sought = self.cursor.seek(to.0);
        self.remembered(sought)
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        if !self.wanted {
            return Ok(None);
        }
        let mut builder = self.pool.builder(rows_max(&self.streams[0]));
        let mut whole = 0;
        while self.failure.is_none() && builder.room() > 0 && builder.byte_len() < 2 * BATCH_BYTES_MAX {
            let put = match self.cursor.step() {
                Ok(Some(row)) => put(&self.cursor, &row, &mut builder),
                Ok(None) => {
                    self.failure = self.cursor.damage();
                    break;
                }
                Err(error) => Err(error),
            };
            match put {
                Ok(()) => whole += 1,
                Err(error) => self.failure = Some(error),
            }
        }
        let partial = builder.rows() > whole;
        let mut batch = builder.finish();
        if partial {
            // What comes before the row that can't be read goes out first.
            let mut builder = self.pool.builder(rows_max(&self.streams[0]));
            builder.append(&batch, 0..whole);
            batch = builder.finish();
        }
        match &self.failure {
            _ if whole > 0 => Ok(Some((0, batch))),
            Some(failure) => Err(failure.clone()),
            None => Ok(None),
        }
    }

    fn closest(&mut self, stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        self.single(stream)?;
        if !self.wanted {
            return Ok(None);
        }
        let nearest = self.nearest(to);
        Ok(self.remembered(nearest)?.map(|batch| (batch, 0)))
    }
}

/// The name of the stream of a file that does not say it.
#[must_use]
pub fn stream_name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
