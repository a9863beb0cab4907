//! Reads Arrow IPC streams back and mends torn ones. Knows nothing of how ours are written, beyond the format.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use tapedeck_sdk::batch::ArrowImport;
use tapedeck_sdk::prelude::*;

use crate::message::END_OF_STREAM;
use crate::scan::{Ending, Scan, scan};

/// Arrow IPC streams (`.arrows`).
pub struct ArrowFormat;

impl Format for ArrowFormat {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["arrows"]
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let mut file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
        let found = walk(&mut file, path)?;
        if found.messages == 0 {
            return Err(not_a_stream(&mut file, path, &found));
        }
        file.seek(SeekFrom::Start(0)).map_err(|error| Error::io("read the recording", path, &error))?;
        let wrong = |error| {
            Error::data(format!("can't read the schema of the Arrow stream: {error}: {}", path.display()))
        };
        let reader = StreamReader::try_new(BufReader::new(file.take(found.end)), None).map_err(wrong)?;
        let name =
            path.file_stem().map_or_else(|| "stream".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let import = ArrowImport::new(&reader.schema(), &name)?;
        let streams = vec![import.schema().clone()];
        Ok(Box::new(ArrowSource { reader, import, streams, rest: None, found, path: path.to_owned() }))
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

/// A recording that is read back.
struct ArrowSource {
    reader: StreamReader<BufReader<Take<File>>>,
    import: ArrowImport,
    streams: Vec<Arc<StreamSchema>>,
    /// What is left of a record batch that is larger than a batch should be.
    rest: Option<RecordBatch>,
    found: Scan,
    path: PathBuf,
}

impl ArrowSource {
    fn damaged(&self, what: &dyn std::fmt::Display) -> Error {
        Error::data(format!("the recording is damaged: {what}: {}", self.path.display()))
    }

    fn record(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.rest.is_some() {
            return Ok(self.rest.take());
        }
        match self.reader.next() {
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(error)) => Err(self.damaged(&error)),
            None => match &self.found.ending {
                Ending::Damaged(what) => Err(self.damaged(&format!("at byte {}: {what}", self.found.end))),
                Ending::Marked | Ending::Torn => Ok(None),
            },
        }
    }
}

impl Recording for ArrowSource {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self) -> Result<Option<(usize, Batch)>, Error> {
        let mut record = loop {
            match self.record()? {
                Some(record) if record.num_rows() == 0 => {}
                Some(record) => break record,
                None => return Ok(None),
            }
        };
        let rows = ArrowImport::rows_max(&record);
        if rows < record.num_rows() {
            self.rest = Some(record.slice(rows, record.num_rows() - rows));
            record = record.slice(0, rows);
        }
        let batch = self.import.batch(&record).map_err(|error| self.damaged(&error))?;
        Ok(Some((0, batch)))
    }
}
