//! A row of a stream as the pickle of a frame.

use std::borrow::Cow;

use tapedeck_kit::pickle::{Encoder, Id, Pickle, Value, cells, pair_of};
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
            pairs.push((key, pickle.add(cells::get(batch.column(column), row))));
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
