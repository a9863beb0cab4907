//! The format of the sink that the suite is tried with, read in memory, breaking one promise at a time when told to.

use std::fs::OpenOptions;
use std::path::Path;

use crate::prelude::*;

/// The parts of a file that are whole, and how many bytes they take.
fn parts(path: &Path) -> Result<(Vec<Vec<u8>>, u64), Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, &error))?;
    let (mut rest, mut parts, mut whole) = (&bytes[..], Vec::new(), 0);
    while let Some((length, tail)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length);
        let Some((part, tail)) =
            usize::try_from(length).ok().and_then(|length| tail.split_at_checked(length))
        else {
            break;
        };
        parts.push(part.to_vec());
        (rest, whole) = (tail, whole + 8 + length);
    }
    Ok((parts, whole))
}

/// The promise that is broken, by name; none is empty.
pub(super) struct TestFormat(pub(super) &'static str);

impl Format for TestFormat {
    fn name(&self) -> &'static str {
        "test"
    }
    fn extensions(&self) -> &'static [&'static str] {
        &["slabs"]
    }
    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        self.0 != "stranger" && head.get(8..10) == Some(b"{\"")
    }
    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let (parts, _) = parts(path)?;
        let Some((head, slabs)) = parts.split_first() else {
            assert!(self.0 != "panics", "a bug");
            return Err(Error::data("no schema"));
        };
        let schema: StreamSchema =
            serde_json::from_slice(head).map_err(|error| Error::data(error.to_string()))?;
        let schema = Arc::new(schema);
        let batch = |slab: &Vec<u8>| Batch::from_bytes(schema.clone(), slab);
        let batches = slabs.iter().map(batch).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(TestReader { streams: vec![schema], batches, at: (0, 0), wanted: true, fault: self.0 }))
    }
    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let (parts, whole) = parts(path)?;
        if parts.is_empty() {
            return Ok(Repair::Unreadable("no schema".to_owned()));
        }
        let told = |error: std::io::Error| Error::io("repair", path, &error);
        let file = OpenOptions::new().write(true).open(path).map_err(told)?;
        let length = file.metadata().map_err(told)?.len();
        if self.0 == "always mends" || length > whole {
            file.set_len(whole).map_err(told)?;
            return Ok(Repair::Mended("cut a torn end".to_owned()));
        }
        Ok(Repair::Intact)
    }
}

struct TestReader {
    streams: Vec<Arc<StreamSchema>>,
    batches: Vec<Batch>,
    /// The block and the row that come next.
    at: (usize, usize),
    wanted: bool,
    fault: &'static str,
}

impl TestReader {
    fn times(&self) -> impl Iterator<Item = ((usize, usize), i64)> {
        let rows = |(block, batch): (usize, &Batch)| {
            let times = batch.timestamps().to_vec().into_iter().enumerate();
            times.map(move |(row, time)| ((block, row), time))
        };
        self.batches.iter().enumerate().flat_map(rows)
    }
}

/// The rows from `first` on, and of the columns only these.
fn part(batch: &Batch, first: usize, schema: &Arc<StreamSchema>, columns: &[usize]) -> Batch {
    let rows = first..batch.rows();
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(rows.len());
    builder.push_rows(rows.len());
    builder.seq_mut().copy_from_slice(&batch.seq()[first..]);
    builder.timestamps_mut().copy_from_slice(&batch.timestamps()[first..]);
    for (place, &column) in columns.iter().enumerate() {
        builder.copy_column(place, batch.column(column), rows.clone());
    }
    builder.finish()
}

impl Recording for TestReader {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn extent(&self, _stream: usize) -> Option<Extent> {
        let times = || self.times().map(|(_, time)| time);
        let timestamps = times().min().zip(times().max());
        let mut extent = Extent { frames: times().count() as u64, seq: None, timestamps };
        match self.fault {
            "more frames" => extent.frames += 1,
            "other range" => extent.timestamps = extent.timestamps.map(|(first, last)| (first + 1, last)),
            _ => {}
        }
        Some(extent)
    }

    fn select(&mut self, wanted: &[Wanted]) -> Result<(), Error> {
        if self.fault == "selects anything" && wanted.len() != 1 {
            return Ok(());
        }
        let before = std::mem::take(&mut self.streams);
        self.streams = Wanted::of_streams(wanted, &before)?;
        self.wanted = wanted[0] != Wanted::Nothing;
        if let Wanted::Columns(columns) = &wanted[0] {
            if self.fault == "every column" {
                self.streams = before;
                return Ok(());
            }
            let schema = &self.streams[0];
            self.batches = self.batches.iter().map(|batch| part(batch, 0, schema, columns)).collect();
        }
        Ok(())
    }

    fn seek(&mut self, to: Timestamp) -> Result<(), Error> {
        self.at = match self.fault {
            "stays" => self.at,
            _ => {
                let first = self.times().find(|(_, time)| *time >= to.0);
                first.map_or((self.batches.len(), 0), |(place, _)| place)
            }
        };
        if self.fault == "whole batches" {
            self.at.1 = 0;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let (block, first) = self.at;
        let Some(batch) = self.batches.get(block).filter(|_| self.wanted) else { return Ok(None) };
        self.at = (block + 1, 0);
        let columns: Vec<usize> = (0..batch.schema().payload().len()).collect();
        let first = if self.fault == "no rows" { batch.rows() } else { first };
        Ok(Some((0, part(batch, first, batch.schema(), &columns))))
    }

    fn closest(&mut self, _stream: usize, to: Timestamp) -> Result<Option<(Batch, usize)>, Error> {
        let nearest = self.times().min_by_key(|(_, time)| time.abs_diff(to.0));
        let found = nearest.filter(|_| self.wanted);
        let found = found.map(|((block, row), _)| (self.batches[block].clone(), row));
        Ok(match self.fault {
            "first of batch" => found.map(|(batch, _)| (batch, 0)),
            "never close" => None,
            _ => found,
        })
    }
}
