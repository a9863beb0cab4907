//! Observations as rows: what a payload is, and which columns are set from it.

use std::rc::Rc;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value as Json};
use tapedeck_kit::pickle::{Limits, Pickle, Value, cells};
use tapedeck_sdk::RowWriter;
use tapedeck_sdk::prelude::*;

use crate::names::{POSE, SENSOR_TIME, SENSOR_TIME_TAG};
use crate::shape::{Payload, Table};

const LIMITS: Limits = Limits { bytes_max: 256 << 20, objects_max: 8 << 20, depth_max: 500 };

/// What is made of an observation.
pub(crate) enum Observed {
    Message(Rc<[u8]>),
    Dict(Rc<[u8]>),
}

/// Puts observations into columns.
pub(crate) struct Filler<'t> {
    pub(crate) tables: &'t [Table],
    pub(crate) columns: &'t [Field],
    pub(crate) places: &'t [Option<usize>],
}

impl Filler<'_> {
    fn table(&self, row: &Row<'_>) -> rusqlite::Result<&Table> {
        let place: i64 = row.get(0)?;
        Ok(&self.tables[usize::try_from(place).unwrap_or(0).min(self.tables.len() - 1)])
    }

    /// Looks at a payload; the inner error says why it can't be read.
    pub(crate) fn look(&self, row: &Row<'_>) -> rusqlite::Result<Result<Observed, String>> {
        let table = self.table(row)?;
        let blob = match row.get_ref(5)? {
            ValueRef::Blob(blob) | ValueRef::Text(blob) => blob,
            ValueRef::Null if table.payload == Payload::Raw => &[],
            _ => return Ok(Err("it has no payload".to_owned())),
        };
        let load = || Pickle::load(blob, &LIMITS).map_err(|error| error.message);
        Ok(match table.payload {
            Payload::Raw => Ok(Observed::Message(blob.into())),
            Payload::Wrapped => load().and_then(|pickle| match pickle.get(pickle.root()) {
                Value::Bytes(bytes) => Ok(Observed::Message(bytes[..].into())),
                _ => Err("its payload is not bytes".to_owned()),
            }),
            Payload::Dict => load().and_then(|pickle| match pickle.get(pickle.root()) {
                Value::Dict(pairs) if pairs.len() == self.columns.len() => Ok(Observed::Dict(blob.into())),
                _ => Err("its payload is not a dict of the columns".to_owned()),
            }),
        })
    }

    pub(crate) fn fill(
        &self,
        row: &Row<'_>,
        observed: &Observed,
        writer: &mut RowWriter<'_, '_>,
    ) -> rusqlite::Result<()> {
        match observed {
            Observed::Message(data) => self.message(row, data, writer),
            Observed::Dict(blob) => {
                let Ok(pickle) = Pickle::load(blob, &LIMITS) else { return Ok(()) };
                let Value::Dict(pairs) = pickle.get(pickle.root()) else { return Ok(()) };
                for ((field, place), (_, value)) in self.columns.iter().zip(self.places).zip(pairs) {
                    let Some(place) = *place else { continue };
                    if !cells::set(writer, place, field.data_type, pickle.get(*value)) && field.nullable {
                        writer.set_null(place);
                    }
                }
                Ok(())
            }
        }
    }

    fn message(&self, row: &Row<'_>, data: &[u8], writer: &mut RowWriter<'_, '_>) -> rusqlite::Result<()> {
        let table = self.table(row)?;
        for (field, place) in self.columns.iter().zip(self.places) {
            let Some(place) = *place else { continue };
            match field.name.as_str() {
                "topic" => _ = writer.set_str(place, &table.topic),
                "encoding" => _ = writer.set_str(place, &table.encoding),
                "data" => _ = writer.set_bytes(place, data),
                "schema" => table.kind.iter().for_each(|kind| _ = writer.set_str(place, kind)),
                "tags" => tags(row)?.iter().for_each(|tags| _ = writer.set_str(place, tags)),
                SENSOR_TIME => {
                    let time = sensor_time(row)?.and_then(|(time, _)| time.as_i64());
                    time.iter().for_each(|time| _ = writer.set(place, *time));
                }
                "value" => number(row.get_ref(3)?, field.data_type, place, writer),
                name => {
                    let column = POSE.iter().position(|pose| *pose == name).map(|column| column + 6);
                    if let Some(column) = column {
                        number(row.get_ref(column)?, field.data_type, place, writer);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The text of the tags; none without one.
fn text<'r>(row: &'r Row<'_>) -> rusqlite::Result<Option<&'r str>> {
    Ok(match row.get_ref(4)? {
        ValueRef::Text(tags) if tags != b"{}" => std::str::from_utf8(tags).ok(),
        _ => None,
    })
}

/// The device's own time among the tags, and the other tags.
fn sensor_time(row: &Row<'_>) -> rusqlite::Result<Option<(Json, Map<String, Json>)>> {
    let tags = text(row)?.filter(|tags| tags.contains(SENSOR_TIME_TAG));
    let tags: Option<Map<String, Json>> = tags.and_then(|tags| serde_json::from_str(tags).ok());
    Ok(tags.and_then(|mut tags| Some((tags.shift_remove(SENSOR_TIME_TAG)?, tags))))
}

/// The tags, but for what is a column.
fn tags(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    Ok(match sensor_time(row)? {
        Some((_, tags)) if tags.is_empty() => None,
        Some((_, tags)) => Some(Json::Object(tags).to_string()),
        None => text(row)?.map(str::to_owned),
    })
}

/// Sets a column to a number of the database, if it is one.
fn number(value: ValueRef<'_>, data_type: DataType, place: usize, writer: &mut RowWriter<'_, '_>) {
    match (value, data_type) {
        (ValueRef::Integer(number), DataType::Int64) => _ = writer.set(place, number),
        #[expect(clippy::cast_precision_loss, reason = "as SQLite does it")]
        (ValueRef::Integer(number), DataType::Float64) => _ = writer.set(place, number as f64),
        (ValueRef::Real(number), DataType::Float64) => _ = writer.set(place, number),
        _ => {}
    }
}
