//! One input stream and its files: gathers rows, and decides where a row group and where a file ends. Knows nothing of the format.

use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use tapedeck_sdk::batch::{Gather, arrow_schema};
use tapedeck_sdk::prelude::*;

use crate::file::ParquetFile;
use crate::options::ParquetOptions;

/// The keys under which a file names its session, in its key-value metadata.
pub(crate) const SESSION_KEY: &str = "tapedeck.session";
pub(crate) const PIPELINE_KEY: &str = "tapedeck.pipeline";
pub(crate) const STARTED_AT_KEY: &str = "tapedeck.started_at";
/// The stream's schema, as JSON.
pub(crate) const SCHEMA_KEY: &str = "tapedeck.schema";
/// What was lost, as JSON: `{"late":0,"dropped":0,"failed":0,"partial":0}`.
pub(crate) const LOSS_KEY: &str = "tapedeck.loss";
pub(crate) const KEYS: [&str; 5] = [SESSION_KEY, PIPELINE_KEY, STARTED_AT_KEY, SCHEMA_KEY, LOSS_KEY];

/// A stream of more columns than this is wide: its rows are gathered until a row group is complete, and are then written column by
/// column. That keeps the compression state of one column in memory, not that of all.
const NARROW_COLUMNS_MAX: usize = 128;
/// The most bytes that are gathered of a wide stream and of another, before they are handed to the format.
const WIDE_GATHER_BYTES_MAX: usize = 8 << 20;
const NARROW_GATHER_BYTES_MAX: usize = 1 << 20;
/// A batch with so many bytes a column is handed to the format as it is.
const DIRECT_COLUMN_BYTES_MIN: usize = 8 << 10;

/// Where a stream's files go: `rows.parquet`, `rows-0001.parquet`…
struct Names {
    first: PathBuf,
    next: u32,
}

impl Names {
    /// The name of the next file, relative to the session folder.
    fn next(&mut self) -> PathBuf {
        let number = self.next;
        self.next += 1;
        if number == 0 {
            return self.first.clone();
        }
        let part = |name: Option<&std::ffi::OsStr>| {
            name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let (stem, extension) = (part(self.first.file_stem()), part(self.first.extension()));
        let dot = if extension.is_empty() { "" } else { "." };
        self.first.with_file_name(format!("{stem}-{number:04}{dot}{extension}"))
    }
}

/// One input stream.
pub(crate) struct Recording {
    input: usize,
    schema: Arc<StreamSchema>,
    arrow: SchemaRef,
    properties: WriterProperties,
    options: ParquetOptions,
    host: Arc<dyn Host>,
    names: Names,
    /// There is one while there are rows that no finished file has, and before the first row.
    file: Option<ParquetFile>,
    gather: Gather,
    wide: bool,
    gather_bytes_max: usize,
    group_bytes_max: usize,
    /// Bytes of a row, but for values of varying length.
    row_bytes: usize,
    variable_columns: Vec<usize>,
    /// Rows and bytes of the row group in hand.
    group_rows: usize,
    group_bytes: usize,
    /// Timestamps of the first rows of the row group and of the file, in nanoseconds.
    group_begin: Option<i64>,
    file_begin: Option<i64>,
}

impl Recording {
    /// `input` is the stream's number, `name` that of its first file, relative to the session folder.
    pub(crate) fn open(
        (input, name): (usize, PathBuf),
        schema: &Arc<StreamSchema>,
        options: &ParquetOptions,
        context: &Context,
    ) -> Result<Self, Error> {
        let width = |field: &Field| {
            field.data_type.width().unwrap_or(if field.data_type == DataType::Bool { 1 } else { 4 })
        };
        let row_bytes: usize = schema.fields().iter().map(width).sum();
        let wide = schema.fields().len() > NARROW_COLUMNS_MAX;
        let group_bytes_max = usize::try_from(options.row_group_bytes.0).unwrap_or(usize::MAX);
        let gather_bytes_max =
            group_bytes_max.min(if wide { WIDE_GATHER_BYTES_MAX } else { NARROW_GATHER_BYTES_MAX });
        let rows = (gather_bytes_max / row_bytes).clamp(1, options.row_group_rows);
        let fields = schema.fields().iter().enumerate();
        let variable = fields.filter(|(_, field)| field.data_type.is_variable()).map(|(index, _)| index);
        let mut arrow = arrow_schema(schema);
        // A stream that was read back names the session that it was recorded in; the file names this one.
        arrow.metadata.retain(|key, _| !KEYS.contains(&key.as_str()));
        let pairs = session_metadata(schema, &context.session)?;
        let mut recording = Self {
            input,
            schema: schema.clone(),
            arrow: Arc::new(arrow),
            properties: options.properties(schema)?.set_key_value_metadata(Some(pairs)).build(),
            options: options.clone(),
            host: context.host.clone(),
            names: Names { first: name, next: 0 },
            file: None,
            gather: Gather::new(schema.clone(), rows),
            wide,
            gather_bytes_max,
            group_bytes_max,
            row_bytes,
            variable_columns: variable.collect(),
            group_rows: 0,
            group_bytes: 0,
            group_begin: None,
            file_begin: None,
        };
        recording.open_file()?;
        Ok(recording)
    }

    /// Takes a batch, part by part where a row group ends inside it.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let values = |&index: &usize| batch.any_column(index).value_bytes().len();
        let variable: usize = self.variable_columns.iter().map(values).sum();
        let bytes = self.row_bytes * batch.rows() + variable;
        let direct = bytes / batch.schema().fields().len() >= DIRECT_COLUMN_BYTES_MIN;
        let mut row = 0;
        while row < batch.rows() {
            let first = batch.timestamps()[row];
            self.make_room(first)?;
            let count = self.rows_that_fit(&batch.timestamps()[row..]);
            let part = bytes / batch.rows() * count;
            if direct {
                self.write_gathered()?;
                let record = batch.to_arrow(&self.arrow)?;
                self.open_file()?.write(&record.slice(row, count))?;
                self.count(count, part);
                row += count;
                continue;
            }
            if self.gather.room() == 0 || self.gather.variable_bytes() + variable > self.gather_bytes_max {
                if self.wide {
                    self.end_row_group()?
                } else {
                    self.write_gathered()?
                }
                continue;
            }
            let count = count.min(self.gather.room());
            self.gather.append(batch, row..row + count);
            self.count(count, bytes / batch.rows() * count);
            row += count;
        }
        Ok(())
    }

    /// Ends the row group and the file, and says what was lost on the way.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let ended = self.end_row_group();
        let finished = self.end_file();
        ended.and(finished)
    }

    /// Ends what can't take a row of this time any more. Nothing ends before it has a row.
    fn make_room(&mut self, first: i64) -> Result<(), Error> {
        let over = |begin: Option<i64>, limit: std::time::Duration| {
            begin.is_some_and(|begin| Timestamp(first).since(Timestamp(begin)) >= limit)
        };
        if self.options.rotate_time.is_some_and(|limit| over(self.file_begin, limit.0)) {
            self.end_row_group()?;
            self.end_file()?;
        } else if over(self.group_begin, self.options.row_group_time.0)
            || self.group_rows >= self.options.row_group_rows
            || self.group_bytes >= self.group_bytes_max
        {
            self.end_row_group()?;
            let size = self.file.as_ref().map_or(0, ParquetFile::whole_bytes);
            if self.options.rotate_bytes.is_some_and(|limit| size >= limit.0) {
                self.end_file()?;
            }
        }
        self.group_begin.get_or_insert(first);
        self.file_begin.get_or_insert(first);
        Ok(())
    }

    /// How many of the coming rows, at least one, belong to the row group in hand by number and by time.
    fn rows_that_fit(&self, timestamps: &[i64]) -> usize {
        let room = (self.options.row_group_rows - self.group_rows).min(timestamps.len()).max(1);
        let limits = [
            (self.group_begin, Some(self.options.row_group_time)),
            (self.file_begin, self.options.rotate_time),
        ];
        let mut count = room;
        for (begin, limit) in limits {
            let (Some(begin), Some(limit)) = (begin, limit) else { continue };
            let late = |&time: &i64| Timestamp(time).since(Timestamp(begin)) >= limit.0;
            // Time rises: when the last row is in time, all are.
            if late(&timestamps[count - 1]) {
                count = timestamps[..count].iter().position(late).unwrap_or(count).max(1);
            }
        }
        count
    }

    fn count(&mut self, rows: usize, bytes: usize) {
        self.group_rows += rows;
        self.group_bytes += bytes;
    }

    /// Hands the rows that were gathered to the format, which keeps them until the row group ends.
    fn write_gathered(&mut self) -> Result<(), Error> {
        let Some(batch) = self.gather.take() else { return Ok(()) };
        let record = batch.to_arrow(&self.arrow)?;
        self.open_file()?.write(&record)
    }

    fn end_row_group(&mut self) -> Result<(), Error> {
        (self.group_rows, self.group_bytes, self.group_begin) = (0, 0, None);
        let last = self.gather.take().map(|batch| batch.to_arrow(&self.arrow)).transpose()?;
        if self.file.is_some() || last.is_some() {
            self.open_file()?.end_row_group(last.as_ref())?;
        }
        Ok(())
    }

    fn open_file(&mut self) -> Result<&mut ParquetFile, Error> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let path = self.host.artifact(&self.names.next(), Role::RecordingOf(self.input))?;
                ParquetFile::create(path, self.arrow.clone(), self.properties.clone())?
            }
        };
        Ok(self.file.insert(file))
    }

    fn end_file(&mut self) -> Result<(), Error> {
        self.file_begin = None;
        let Some(file) = self.file.take() else { return Ok(()) };
        let loss = serde_json::json!(self.host.loss(self.schema.name())).to_string();
        file.finish(vec![KeyValue::new(LOSS_KEY.to_owned(), loss)])
    }
}

fn session_metadata(schema: &StreamSchema, session: &SessionInfo) -> Result<Vec<KeyValue>, Error> {
    let json = serde_json::to_string(schema);
    let json = json.map_err(|error| {
        Error::data(format!("can't write the schema of stream \"{}\": {error}", schema.name()))
    })?;
    let pairs = [
        (SESSION_KEY, session.id.clone()),
        (PIPELINE_KEY, session.pipeline.clone()),
        (STARTED_AT_KEY, session.started_at.to_iso8601()),
        (SCHEMA_KEY, json),
    ];
    Ok(pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect())
}

/// The name of each stream's first file, relative to the session folder: as [`Context::artifacts`] has them.
pub(crate) fn file_names(path: Option<&Path>, id: &str, inputs: &[Arc<StreamSchema>]) -> Vec<PathBuf> {
    let path = path.map_or_else(|| PathBuf::from(format!("{id}.parquet")), Path::to_owned);
    if inputs.len() == 1 {
        return vec![path];
    }
    let extension =
        path.extension().map_or("parquet".into(), |extension| extension.to_string_lossy().into_owned());
    inputs.iter().map(|schema| path.with_extension(format!("{}.{extension}", schema.name()))).collect()
}
