//! A batch as an Arrow `RecordBatch` over the same memory, and back.

use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};

use super::layout::{Directory, word};
use super::{Batch, BatchPool};
use crate::{DataType, Error, Field, Kind, StreamSchema};

/// The Arrow schema of a stream. `tapedeck.kind` and `tapedeck.stream` are in its metadata.
#[must_use]
pub fn arrow_schema(schema: &StreamSchema) -> ArrowSchema {
    let fields: Vec<ArrowField> = schema.fields().iter().map(arrow_field).collect();
    let mut metadata: HashMap<String, String> = schema.metadata().clone().into_iter().collect();
    metadata.insert(StreamSchema::KIND.to_owned(), schema.kind().to_string());
    metadata.insert(StreamSchema::STREAM.to_owned(), schema.name().to_owned());
    ArrowSchema::new_with_metadata(fields, metadata)
}

fn arrow_field(field: &Field) -> ArrowField {
    let metadata: HashMap<String, String> = field.metadata.clone().into_iter().collect();
    ArrowField::new(&field.name, arrow_type(field.data_type), field.nullable).with_metadata(metadata)
}

fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int8 => ArrowType::Int8,
        DataType::Int16 => ArrowType::Int16,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::UInt8 => ArrowType::UInt8,
        DataType::UInt16 => ArrowType::UInt16,
        DataType::UInt32 => ArrowType::UInt32,
        DataType::UInt64 => ArrowType::UInt64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::TimestampNs => ArrowType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Utf8 => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::FixedBinary(length) => {
            ArrowType::FixedSizeBinary(i32::try_from(length).unwrap_or(i32::MAX))
        }
    }
}

/// The stream schema of an Arrow schema that begins with `seq` and `timestamp`. A schema without the metadata is taken as
/// attributes, under the name `fallback`.
///
/// # Errors
/// A column type that a stream can't have, or a schema that does not begin with `seq` and `timestamp`.
pub fn stream_schema(schema: &ArrowSchema, fallback: &str) -> Result<Arc<StreamSchema>, Error> {
    let mut metadata: BTreeMap<String, String> = schema.metadata().clone().into_iter().collect();
    let kind = metadata.remove(StreamSchema::KIND).map_or(Ok(Kind::Attributes), |name| name.parse())?;
    let name = metadata.remove(StreamSchema::STREAM).unwrap_or_else(|| fallback.to_owned());
    let lead: Vec<&str> = schema.fields().iter().take(2).map(|field| field.name().as_str()).collect();
    if lead != ["seq", "timestamp"] {
        return Err(Error::data(
            "the first two columns are not seq and timestamp: not a recording of Tapedeck's",
        ));
    }
    let mut builder = StreamSchema::builder(&name, kind);
    for (key, value) in metadata {
        builder = builder.metadata(&key, value);
    }
    for field in schema.fields().iter().skip(2) {
        builder = builder.push(Field {
            name: field.name().clone(),
            data_type: stream_type(field)?,
            nullable: field.is_nullable(),
            metadata: field.metadata().clone().into_iter().collect(),
        });
    }
    builder.build()
}

fn stream_type(field: &ArrowField) -> Result<DataType, Error> {
    Ok(match field.data_type() {
        ArrowType::Boolean => DataType::Bool,
        ArrowType::Int8 => DataType::Int8,
        ArrowType::Int16 => DataType::Int16,
        ArrowType::Int32 => DataType::Int32,
        ArrowType::Int64 => DataType::Int64,
        ArrowType::UInt8 => DataType::UInt8,
        ArrowType::UInt16 => DataType::UInt16,
        ArrowType::UInt32 => DataType::UInt32,
        ArrowType::UInt64 => DataType::UInt64,
        ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => DataType::TimestampNs,
        ArrowType::Utf8 => DataType::Utf8,
        ArrowType::Binary => DataType::Binary,
        ArrowType::FixedSizeBinary(length) => DataType::FixedBinary(u32::try_from(*length).unwrap_or(0)),
        other => {
            return Err(Error::data(format!(
                "column \"{}\" is of the Arrow type {other}, which a stream can't have",
                field.name()
            )));
        }
    })
}

impl Batch {
    /// The batch as an Arrow record batch over the same memory. `schema` is [`arrow_schema`] of the batch's own: make it once for
    /// each stream. The record batch keeps the slab alive.
    ///
    /// # Errors
    /// `schema` is not the batch's.
    pub fn to_arrow(&self, schema: &Arc<ArrowSchema>) -> Result<RecordBatch, Error> {
        let wrong =
            |error: arrow_schema::ArrowError| Error::plugin(format!("can't view a batch as Arrow: {error}"));
        let mut arrays = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            arrays.push(make_array(self.array_data(index, field.data_type().clone())));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows()));
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(wrong)
    }

    #[expect(
        unsafe_code,
        reason = "arrow-rs checks every value again in the safe constructor; ours were checked"
    )]
    fn array_data(&self, index: usize, data_type: ArrowType) -> ArrayData {
        let column = self.any_column(index);
        let entry = column.entry();
        let mut builder = ArrayData::builder(data_type).len(self.rows());
        if let Some(bits) = column.validity() {
            builder = builder.null_bit_buffer(Some(self.buffer(entry.validity, bits.len())));
        }
        if column.data_type().is_variable() {
            builder = builder.add_buffer(self.buffer(entry.offsets, (self.rows() + 1) * 4));
        }
        builder = builder.add_buffer(self.buffer(entry.values, entry.values_length as usize));
        // SAFETY: the slab's layout is Arrow's (see the module's page): buffers are aligned to 8 bytes, long enough for the rows,
        // offsets rise and stay inside the values, and text is UTF-8. `BatchBuilder` writes no other and `verify` lets no other in.
        unsafe { builder.build_unchecked() }
    }

    #[expect(unsafe_code, reason = "an Arrow buffer over memory that Arrow did not allocate")]
    fn buffer(&self, offset: u32, length: usize) -> Buffer {
        let bytes = &self.as_bytes()[offset as usize..offset as usize + length];
        let pointer = NonNull::from(bytes).cast::<u8>();
        // SAFETY: the bytes live as long as the owner, an `Arc` of the slab, and a shared slab is never written.
        unsafe { Buffer::from_custom_allocation(pointer, length, Arc::new(self.clone())) }
    }

    /// Copies an Arrow record batch into a slab of the pool.
    ///
    /// # Errors
    /// The columns are not those of the pool's schema.
    pub fn from_arrow(pool: &mut BatchPool, record: &RecordBatch) -> Result<Self, Error> {
        let schema = pool.schema().clone();
        let types =
            record.schema().fields().iter().map(|field| stream_type(field)).collect::<Result<Vec<_>, _>>()?;
        if !types.iter().copied().eq(schema.fields().iter().map(|field| field.data_type)) {
            return Err(Error::data(format!(
                "an Arrow batch has other columns than stream \"{}\"",
                schema.name()
            )));
        }
        let mut builder = pool.builder(record.num_rows());
        for index in 0..record.num_columns() {
            let data = record.column(index).to_data();
            if data.null_count() > 0 && !schema.fields()[index].nullable {
                return Err(Error::data(format!(
                    "column \"{}\" has nulls and is not nullable",
                    schema.fields()[index].name
                )));
            }
            copy_column(&mut builder, index, &data, record.num_rows());
        }
        builder.set_rows(record.num_rows());
        Ok(builder.finish())
    }
}

/// Copies one Arrow column, whatever its offset, into the builder's place for it.
fn copy_column(builder: &mut super::BatchBuilder<'_>, index: usize, data: &ArrayData, rows: usize) {
    use super::column::{clear_bit, set_bit};
    use super::layout::{Shape, write_u32};
    let (layout, bytes, variable, _) = builder.parts();
    let slot = layout.slots[index];
    let first = data.offset();
    match slot.shape {
        Shape::Fixed(width) => {
            let values = &data.buffers()[0].as_slice()[first * width..(first + rows) * width];
            bytes[slot.values..slot.values + values.len()].copy_from_slice(values);
        }
        Shape::Bit => {
            for row in 0..rows {
                let value = arrow_buffer::bit_util::get_bit(data.buffers()[0].as_slice(), first + row);
                if value {
                    set_bit(&mut bytes[slot.values..], row)
                } else {
                    clear_bit(&mut bytes[slot.values..], row)
                }
            }
        }
        Shape::Variable(number) => {
            let offsets = &data.buffers()[0].typed_data::<i32>()[first..=first + rows];
            let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
            let base = at(offsets[0]);
            variable[number].extend_from_slice(&data.buffers()[1].as_slice()[base..at(offsets[rows])]);
            for (row, &offset) in offsets.iter().enumerate() {
                write_u32(bytes, slot.offsets + row * 4, word(at(offset) - base));
            }
        }
    }
    if let Some(nulls) = data.nulls().filter(|nulls| nulls.null_count() > 0) {
        bytes[slot.validity..slot.validity + layout.capacity.div_ceil(8)].fill(0xff);
        let mut entry = Directory::entry(bytes, index);
        entry.validity = word(slot.validity);
        Directory::set_entry(bytes, index, entry);
        (0..rows)
            .filter(|&row| nulls.is_null(row))
            .for_each(|row| clear_bit(&mut bytes[slot.validity..], row));
    }
}
