//! A row of a stream as the pickle of a frame.

use std::borrow::Cow;

use tapedeck_kit::pickle::{Encoder, Id, Pickle, Value, pair_of};
use tapedeck_kit::seconds;
use tapedeck_sdk::kinds::message;
use tapedeck_sdk::prelude::*;

use crate::track::LIMITS;
use crate::{ENCODING, TIME_COLUMN};

/// How the rows of a stream become frames.
pub(crate) struct Rows {
    /// The columns of a message, if the stream is of them.
    message: Option<message::Columns>,
    /// The column with the time as it was pickled.
    float: Option<usize>,
    names: Vec<String>,
    protocol: u8,
}

impl Rows {
    pub(crate) fn new(schema: &StreamSchema, protocol: u8) -> Self {
        let float = schema.payload_index(TIME_COLUMN);
        let float = float.filter(|&column| schema.payload()[column].data_type == DataType::Float64);
        let names = schema.payload().iter().map(|field| field.name.clone()).collect();
        Self { message: message::Columns::of(schema).ok(), float, names, protocol }
    }

    /// The pickle of a row.
    pub(crate) fn frame(&self, batch: &Batch, row: usize) -> Result<Vec<u8>, Error> {
        let float = self.float.map(|column| batch.column(column)).filter(|column| !column.is_null(row));
        let seconds = match float {
            Some(column) => column.values::<f64>()[row],
            None => seconds::to_seconds(Timestamp(batch.timestamps()[row])),
        };
        if let Some(columns) = self.message {
            let message = columns.view(batch);
            // What says that it is a pickle and is none is kept as any other message.
            if message.encoding(row) == ENCODING && is_whole(message.data(row)) {
                return pair_of(seconds, message.data(row));
            }
        }
        let mut pickle = Pickle::new();
        let mut pairs = Vec::with_capacity(self.names.len());
        for (column, name) in self.names.iter().enumerate().filter(|(column, _)| Some(*column) != self.float)
        {
            let key = pickle.add(Value::Text(Cow::Borrowed(name)));
            pairs.push((key, pickle.add(value(batch.column(column), row))));
        }
        let payload = pickle.add(Value::Dict(pairs));
        let time = pickle.add(Value::Float(seconds));
        let pair: Id = pickle.add(Value::Tuple(vec![time, payload]));
        Encoder::encode(&pickle, pair, self.protocol)
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    Pickle::load_prefix(bytes, &LIMITS).is_ok_and(|(_, length)| length == bytes.len())
}

/// A value of a column as Python has it.
fn value<'b>(column: Column<'b>, row: usize) -> Value<'b> {
    if column.is_null(row) {
        return Value::None;
    }
    match column.data_type() {
        DataType::Bool => Value::Bool(column.bool_at(row)),
        DataType::Int8 => Value::Int(column.values::<i8>()[row].into()),
        DataType::Int16 => Value::Int(column.values::<i16>()[row].into()),
        DataType::Int32 => Value::Int(column.values::<i32>()[row].into()),
        DataType::Int64 | DataType::TimestampNs => Value::Int(column.values::<i64>()[row]),
        DataType::UInt8 => Value::Int(column.values::<u8>()[row].into()),
        DataType::UInt16 => Value::Int(column.values::<u16>()[row].into()),
        DataType::UInt32 => Value::Int(column.values::<u32>()[row].into()),
        DataType::UInt64 => {
            let number = column.values::<u64>()[row];
            i64::try_from(number).map_or_else(|_| large(number), Value::Int)
        }
        DataType::Float32 => Value::Float(column.values::<f32>()[row].into()),
        DataType::Float64 => Value::Float(column.values::<f64>()[row]),
        DataType::Utf8 => Value::Text(Cow::Borrowed(column.str_at(row))),
        DataType::Binary | DataType::FixedBinary(_) => Value::Bytes(Cow::Borrowed(column.bytes_at(row))),
    }
}

/// A number that only 65 bits with a sign hold.
fn large<'b>(number: u64) -> Value<'b> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(0);
    Value::Long(Cow::Owned(bytes))
}
