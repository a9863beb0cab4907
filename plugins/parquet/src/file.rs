//! One Parquet file while it is written: row groups, then the footer. Knows nothing of when a row group or a file should end.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use tapedeck_sdk::{Error, ErrorKind};

/// A file that grows row group by row group.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The columns of the row group in hand, while it takes rows batch by batch.
    columns: Option<Vec<ArrowColumnWriter>>,
    /// The same file, to mend it when a row group could not be written.
    file: File,
    path: PathBuf,
    /// Bytes up to the end of the last whole row group.
    whole_bytes: u64,
    /// How many row groups that is.
    whole_groups: usize,
    failed: bool,
}

impl ParquetFile {
    pub(crate) fn create(
        path: PathBuf,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, Error> {
        let making = |error: &std::io::Error| Error::io("make the file", &path, error);
        let file = File::create(&path).map_err(|error| making(&error))?;
        let other = file.try_clone().map_err(|error| making(&error))?;
        let open = || ArrowWriter::try_new(file, schema.clone(), Some(properties))?.into_serialized_writer();
        let (mut writer, factory) = open()
            .map_err(|error| Error::data(format!("can't write the schema: {error}: {}", path.display())))?;
        writer.flush().map_err(|error| making(&error))?;
        let whole_bytes = writer.bytes_written() as u64;
        Ok(Self {
            writer,
            factory,
            schema,
            columns: None,
            file: other,
            path,
            whole_bytes,
            whole_groups: 0,
            failed: false,
        })
    }

    /// Bytes of the whole row groups.
    pub(crate) fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Adds rows to the row group in hand.
    pub(crate) fn write(&mut self, record: &RecordBatch) -> Result<(), Error> {
        let result = self.try_write(record);
        self.check(result)
    }

    /// Ends the row group in hand, with `last` as its last rows.
    ///
    /// Column by column, so that only one holds its compression state: with 1,000 columns that is 20 MB instead of 80.
    pub(crate) fn end_row_group(&mut self, last: Option<&RecordBatch>) -> Result<(), Error> {
        if self.failed {
            return Ok(());
        }
        let result = self.try_end_row_group(last);
        self.check(result)
    }

    /// Writes the footer. A file that failed gets one for the row groups that are whole.
    pub(crate) fn finish(mut self, metadata: Vec<KeyValue>) -> Result<(), Error> {
        let path = self.path.clone();
        if !self.failed {
            metadata.iter().for_each(|pair| self.writer.append_key_value_metadata(pair.clone()));
            match self.writer.finish() {
                Ok(_) => return Ok(()),
                // The disk may have room for a footer when the failed one is cut; if not, that is the error.
                Err(error) => drop(error),
            }
        }
        rescue(self, metadata).map_err(|error| failed_to("write the footer", &path, &error))
    }

    fn try_write(&mut self, record: &RecordBatch) -> Result<(), ParquetError> {
        let columns = match &mut self.columns {
            Some(columns) => columns,
            none => none.insert(self.factory.create_column_writers(self.writer.flushed_row_groups().len())?),
        };
        for (index, writer) in columns.iter_mut().enumerate() {
            write_column(writer, &self.schema, record, index)?;
        }
        Ok(())
    }

    fn try_end_row_group(&mut self, last: Option<&RecordBatch>) -> Result<(), ParquetError> {
        let columns = match (self.columns.take(), last) {
            (Some(columns), _) => columns,
            (None, Some(_)) => self.factory.create_column_writers(self.writer.flushed_row_groups().len())?,
            (None, None) => return Ok(()),
        };
        let mut group = self.writer.next_row_group()?;
        for (index, mut writer) in columns.into_iter().enumerate() {
            if let Some(record) = last {
                write_column(&mut writer, &self.schema, record, index)?;
            }
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.writer.flush()?;
        self.whole_bytes = self.writer.bytes_written() as u64;
        self.whole_groups = self.writer.flushed_row_groups().len();
        Ok(())
    }

    fn check(&mut self, result: Result<(), ParquetError>) -> Result<(), Error> {
        self.failed |= result.is_err();
        result.map_err(|error| failed_to("write frames", &self.path, &error))
    }
}

/// Cuts what is left of a row group that could not be written, and writes the footer of the others.
fn rescue(broken: ParquetFile, metadata: Vec<KeyValue>) -> Result<(), ParquetError> {
    let ParquetFile { writer, mut file, whole_bytes, whole_groups, .. } = broken;
    let groups = writer.flushed_row_groups()[..whole_groups].to_vec();
    let properties = writer.properties().clone();
    let schema = writer.schema_descr().clone();
    // The library holds bytes of the row group that failed and tries to write them now: before the cut.
    drop(writer);
    let pairs =
        properties.key_value_metadata().cloned().unwrap_or_default().into_iter().chain(metadata).collect();
    let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
    let created_by = Some(properties.created_by().to_owned());
    let about = FileMetaData::new(
        properties.writer_version().as_num(),
        rows,
        created_by,
        Some(pairs),
        Arc::new(schema),
        None,
    );
    let footer = ParquetMetaDataBuilder::new(about).set_row_groups(groups).build();
    file.set_len(whole_bytes)?;
    file.seek(SeekFrom::Start(whole_bytes))?;
    let mut bytes = Vec::new();
    // A footer is found from the end of the file: it can be made apart.
    ParquetMetaDataWriter::new(&mut bytes, &footer).finish()?;
    file.write_all(&bytes)?;
    Ok(())
}

fn write_column(
    writer: &mut ArrowColumnWriter,
    schema: &SchemaRef,
    record: &RecordBatch,
    index: usize,
) -> Result<(), ParquetError> {
    // The columns of a stream are flat: one leaf each.
    compute_leaves(schema.field(index), record.column(index))?.iter().try_for_each(|leaf| writer.write(leaf))
}

/// The error that a user sees. The disk's own are dug out of the library's wrapping.
fn failed_to(doing: &str, path: &std::path::Path, error: &ParquetError) -> Error {
    let inner: Option<&(dyn std::error::Error + 'static)> = match error {
        ParquetError::External(source) => Some(source.as_ref()),
        _ => None,
    };
    let disk = inner.and_then(|source| match source.downcast_ref::<ArrowError>() {
        Some(ArrowError::IoError(_, source)) => Some(source),
        _ => source.downcast_ref::<std::io::Error>(),
    });
    let error = match disk {
        Some(disk) => Error::io(doing, path, disk),
        None => Error::new(ErrorKind::Io, format!("can't {doing}: {error}: {}", path.display())),
    };
    error.with_hint("Row groups that were complete before can be read once the sink has finished.")
}
