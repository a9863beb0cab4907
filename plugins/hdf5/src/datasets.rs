//! The layout `datasets`: one dataset a column, as the recording guide's readers expect. Says what is made, makes nothing.

use std::sync::Arc;

use tapedeck_sdk::{DataType, Error, Field, Kind, StreamSchema};

use crate::fill::{Fill, validity_bytes};
use crate::nulls;
use crate::plan::{Column, INTERNAL, Label, Plan, internal};
use crate::raw::Element;

/// The attribute of a dataset with the unit of its values.
pub(crate) const UNIT: &str = "unit";
/// The dataset of times in seconds.
pub(crate) const TIMESTAMPS: &str = "timestamps";
/// The dataset of sequence numbers.
pub(crate) const SEQ: &str = "seq";
/// The exact times, in nanoseconds, inside the group `_tapedeck`.
pub(crate) const TIMESTAMP: &str = "timestamp";
/// The lengths in bytes of the values of columns of varying length, inside the group `_tapedeck`.
pub(crate) const LENGTHS: &str = "lengths";
/// Which values are not null, inside the group `_tapedeck`.
pub(crate) const VALIDITY: &str = "validity";

/// The parts of a file for these streams: at the root for one, each in a group of its name for several.
pub(crate) fn plans(inputs: &[Arc<StreamSchema>]) -> Result<Vec<Plan>, Error> {
    inputs.iter().map(|schema| plan(schema, inputs.len() > 1)).collect()
}

fn plan(schema: &Arc<StreamSchema>, in_group: bool) -> Result<Plan, Error> {
    let refuse = |what: String, hint: &str| {
        Err(Error::data(format!("stream \"{}\": {what}", schema.name())).with_hint(hint))
    };
    if schema.kind() != Kind::Attributes {
        return refuse(
            format!("layout \"datasets\" holds no {} streams", schema.kind()),
            "use layout = \"siphon\" for pictures, or a sink such as arrow",
        );
    }
    let group = if in_group { schema.name() } else { "" };
    if group.contains('/') || group.contains('\0') || matches!(group, "." | ".." | INTERNAL) {
        return refuse("its name can't be a group's in HDF5".to_owned(), "give the source another id");
    }
    let mut columns = Vec::with_capacity(schema.fields().len() + 3);
    for (index, field) in schema.fields().iter().enumerate().skip(StreamSchema::LEAD) {
        let name = field.name.as_str();
        if name.contains('/') || name.contains('\0') || matches!(name, "." | TIMESTAMPS | INTERNAL) {
            return refuse(
                format!("column \"{name}\" can't be a dataset of that name"),
                "rename it with the select transform",
            );
        }
        let made = column(schema, index, field)?;
        columns.push(if field.nullable { nulls::label(made, index - StreamSchema::LEAD) } else { made });
    }
    columns.push(Column::scalar(SEQ, Element::Unsigned(8), Fill::Fixed { column: 0, width: 8 }));
    columns.push(
        Column::scalar(TIMESTAMPS, Element::Float(8), Fill::Seconds).label(UNIT, Label::Text("s".to_owned())),
    );
    if let Some(bytes) = validity_bytes(schema) {
        columns.push(Column::rows_of(
            internal(VALIDITY),
            Element::Unsigned(1),
            bytes,
            Fill::Validity { bytes },
        ));
    }
    let lengths: Vec<_> = columns
        .iter()
        .filter_map(|column| match column.fill {
            Fill::Padded { column, length } => Some((column, length)),
            _ => None,
        })
        .collect();
    if !lengths.is_empty() {
        let fill = Fill::Lengths { columns: lengths };
        columns.push(Column::rows_of(internal(LENGTHS), Element::Unsigned(4), fill.width() / 4, fill));
    }
    columns.push(exact_timestamp(TIMESTAMP));
    Ok(Plan { group: group.to_owned(), schema: schema.clone(), columns, frames: false })
}

/// The dataset of exact times, which is written last.
pub(crate) fn exact_timestamp(name: &str) -> Column {
    Column::scalar(internal(name), Element::Signed(8), Fill::Fixed { column: 1, width: 8 })
        .label(UNIT, Label::Text("ns".to_owned()))
}

fn column(schema: &StreamSchema, index: usize, field: &Field) -> Result<Column, Error> {
    let fixed = |element: Element| (element, Fill::Fixed { column: index, width: element.size() });
    let (element, fill) = match field.data_type {
        DataType::Bool => (Element::Bool, Fill::Bool { column: index }),
        DataType::Int8 => fixed(Element::Signed(1)),
        DataType::Int16 => fixed(Element::Signed(2)),
        DataType::Int32 => fixed(Element::Signed(4)),
        DataType::Int64 | DataType::TimestampNs => fixed(Element::Signed(8)),
        DataType::UInt8 => fixed(Element::Unsigned(1)),
        DataType::UInt16 => fixed(Element::Unsigned(2)),
        DataType::UInt32 => fixed(Element::Unsigned(4)),
        DataType::UInt64 => fixed(Element::Unsigned(8)),
        DataType::Float32 => (Element::Float(4), Fill::Float32 { column: index }),
        DataType::Float64 => (Element::Float(8), Fill::Float64 { column: index }),
        DataType::Utf8 => {
            let length = field.length_max().ok_or_else(|| unbounded(schema, field))?.max(1);
            (Element::Text(length), Fill::Padded { column: index, length })
        }
        DataType::Binary => {
            let length = field.length_max().ok_or_else(|| unbounded(schema, field))?.max(1);
            let fill = Fill::Padded { column: index, length };
            return Ok(unit(Column::rows_of(&field.name, Element::Unsigned(1), length, fill), field));
        }
        DataType::FixedBinary(_) => {
            let width = field.data_type.width().unwrap_or(1);
            let fill = Fill::Fixed { column: index, width };
            return Ok(unit(Column::rows_of(&field.name, Element::Unsigned(1), width, fill), field));
        }
    };
    Ok(unit(Column::scalar(&field.name, element, fill), field))
}

fn unit(column: Column, field: &Field) -> Column {
    match field.metadata.get(Field::UNIT) {
        Some(unit) => column.label(UNIT, Label::Text(unit.clone())),
        None => column,
    }
}

fn unbounded(schema: &StreamSchema, field: &Field) -> Error {
    let (stream, name, data_type) = (schema.name(), &field.name, field.data_type);
    let error = Error::data(format!(
        "stream \"{stream}\": HDF5 can't hold the {data_type} column \"{name}\" of unlimited length"
    ));
    error.with_hint(
        "give the column a longest length (tapedeck.length_max), leave it out with the select transform, or use the arrow sink",
    )
}
