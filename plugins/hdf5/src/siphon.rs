//! The layout `siphon`: all columns in one matrix, as the notebooks of the original server read it. Says what is made, makes nothing.

use std::sync::Arc;

use tapedeck_sdk::{Error, Kind, StreamSchema};

use crate::datasets::{UNIT, exact_timestamp};
use crate::fill::{Fill, is_numeric};
use crate::options::Options;
use crate::plan::{Column, Label, Plan, internal};
use crate::raw::Element;

/// The columns of `latencies`.
pub(crate) const LATENCIES: usize = 5;
/// The dataset of latencies.
pub(crate) const LATENCY: &str = "latencies";
/// Its attribute with the names of the columns that it was filled from; not there when it is filled with NaN.
pub(crate) const LATENCY_NAMES: &str = "names";

/// The dataset of all values.
pub(crate) const MEMORY_DATA: &str = "memory_data";
/// Its attribute with the columns' names.
pub(crate) const ATTRIBUTE_NAMES: &str = "attribute_names";
/// The dataset of times in milliseconds.
pub(crate) const TIMESTAMPS: &str = "timestamps";
/// The dataset of keys.
pub(crate) const INPUTS: &str = "inputs";
/// Its attribute with the keys' names.
pub(crate) const KEY_MAPPING: &str = "key_mapping";
/// The dataset of pictures.
pub(crate) const FRAMES: &str = "frames";
/// The sequence numbers, inside the group `_tapedeck`.
pub(crate) const SEQ: &str = "seq";
/// The exact times, in nanoseconds, inside the group `_tapedeck`.
pub(crate) const TIMESTAMP: &str = "timestamp";
/// The same of the pictures.
pub(crate) const FRAMES_SEQ: &str = "frames_seq";
/// The same of the pictures.
pub(crate) const FRAMES_TIMESTAMP: &str = "frames_timestamp";

/// The parts of a file for these streams: one of attributes, and perhaps one of pictures.
pub(crate) fn plans(inputs: &[Arc<StreamSchema>], options: &Options) -> Result<Vec<Plan>, Error> {
    let count = |kind: Kind| inputs.iter().filter(|schema| schema.kind() == kind).count();
    if count(Kind::Attributes) > 1 || count(Kind::Image) > 1 {
        return Err(Error::data("layout \"siphon\" holds one stream of attributes and one of pictures")
            .with_hint("give each stream an hdf5 sink of its own, or use layout = \"datasets\""));
    }
    let mut named = [("keys", &options.keys), ("latencies", &options.latencies)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty());
    if count(Kind::Attributes) == 0
        && let Some((key, _)) = named.next()
    {
        return Err(Error::option(
            [key],
            format!("{key} names columns, but no stream of attributes comes in"),
        ));
    }
    inputs
        .iter()
        .map(
            |schema| {
                if schema.kind() == Kind::Image { Ok(pictures(schema)) } else { values(schema, options) }
            },
        )
        .collect()
}

fn values(schema: &Arc<StreamSchema>, options: &Options) -> Result<Plan, Error> {
    let find = |key: &str, names: &[String]| {
        names.iter().map(|name| column_of(schema, key, name)).collect::<Result<Vec<usize>, Error>>()
    };
    let inputs = find("keys", &options.keys)?;
    let latencies = find("latencies", &options.latencies)?;
    let all = StreamSchema::LEAD..schema.fields().len();
    let taken = |index: &usize| inputs.contains(index) || latencies.contains(index);
    let values: Vec<usize> = all.filter(|index| !taken(index)).collect();
    if let Some(&index) = values.iter().find(|&&index| !is_numeric(schema.fields()[index].data_type)) {
        let field = &schema.fields()[index];
        let what = format!(
            "stream \"{}\": layout \"siphon\" can't hold the {} column \"{}\"",
            schema.name(),
            field.data_type,
            field.name
        );
        return Err(Error::data(what)
            .with_hint("leave it out with the select transform, or use layout = \"datasets\""));
    }
    let names = |columns: &[usize]| {
        columns.iter().map(|&index| schema.fields()[index].name.clone()).collect::<Vec<_>>()
    };
    let mut columns = Vec::new();
    if !values.is_empty() {
        let fill = Fill::Matrix { columns: values.iter().copied().map(Some).collect() };
        columns.push(
            Column::rows_of(MEMORY_DATA, Element::Float(4), values.len(), fill)
                .label(ATTRIBUTE_NAMES, Label::List(names(&values))),
        );
    }
    if !inputs.is_empty() {
        let fill = Fill::Flags { columns: inputs.clone() };
        columns.push(
            Column::rows_of(INPUTS, Element::Unsigned(1), inputs.len(), fill)
                .label(KEY_MAPPING, Label::List(names(&inputs))),
        );
    }
    let known: Vec<Option<usize>> = (0..LATENCIES).map(|index| latencies.get(index).copied()).collect();
    let latency = Column::rows_of(LATENCY, Element::Float(4), LATENCIES, Fill::Matrix { columns: known });
    columns.push(if latencies.is_empty() {
        latency
    } else {
        latency.label(LATENCY_NAMES, Label::List(names(&latencies)))
    });
    columns.push(
        Column::scalar(TIMESTAMPS, Element::Signed(8), Fill::Milliseconds)
            .label(UNIT, Label::Text("ms".to_owned())),
    );
    columns.push(Column::scalar(internal(SEQ), Element::Unsigned(8), Fill::Fixed { column: 0, width: 8 }));
    columns.push(exact_timestamp(TIMESTAMP));
    Ok(Plan { group: String::new(), schema: schema.clone(), columns, frames: false })
}

fn column_of(schema: &StreamSchema, key: &str, name: &str) -> Result<usize, Error> {
    let Some(payload) = schema.payload_index(name) else {
        let what = format!("{key} names \"{name}\", which is no column of stream \"{}\"", schema.name());
        return Err(Error::option([key], what).with_hint("`tapedeck graph` shows the columns of each stream"));
    };
    let field = &schema.payload()[payload];
    if !is_numeric(field.data_type) {
        return Err(Error::option(
            [key],
            format!("{key} names \"{name}\", which is of type {} and not a number", field.data_type),
        ));
    }
    Ok(payload + StreamSchema::LEAD)
}

fn pictures(schema: &Arc<StreamSchema>) -> Plan {
    let columns = vec![
        Column::scalar(internal(FRAMES_SEQ), Element::Unsigned(8), Fill::Fixed { column: 0, width: 8 }),
        exact_timestamp(FRAMES_TIMESTAMP),
    ];
    Plan { group: String::new(), schema: schema.clone(), columns, frames: true }
}
