//! Which datasets of a file of our own are which columns, from the description that is in it.

use std::sync::Arc;

use tapedeck_sdk::{DataType, Kind, StreamSchema};

use super::foreign;
use super::track::{Clock, Datasets, Part, Track};
use crate::plan::{Description, StreamDescription, internal};
use crate::raw::{Failure, Group, Node};
use crate::{datasets, siphon};

/// The streams of a file.
pub(super) fn tracks(root: &Group, description: &Description) -> Result<Vec<Track>, Failure> {
    let tracks = description.streams.iter().map(|stream| {
        let group;
        let here = if stream.group.is_empty() {
            root
        } else {
            let Node::Group(found) = root.open(&stream.group)? else {
                return Err(Failure::new(format!("\"{}\" is not a group", stream.group)));
            };
            group = found;
            &group
        };
        match (description.layout.as_str(), stream.schema.kind()) {
            ("siphon", Kind::Image) => pictures(here, stream),
            ("siphon", _) => matrix(here, stream).map(Some),
            ("datasets", _) => columns(here, stream).map(Some),
            (other, _) => {
                Err(Failure::new(format!("it has the layout \"{other}\", which this program does not know")))
            }
        }
    });
    tracks.filter_map(Result::transpose).collect()
}

fn columns(group: &Group, stream: &StreamDescription) -> Result<Track, Failure> {
    let schema = &stream.schema;
    let mut parts = Vec::with_capacity(schema.payload().len());
    let mut variable = 0;
    for (column, field) in schema.payload().iter().enumerate() {
        let part = match field.data_type {
            DataType::Bool => Part::Bool { column },
            DataType::Utf8 | DataType::Binary => {
                variable += 1;
                Part::Padded { column, length: Some(variable - 1) }
            }
            _ => Part::Fixed { column },
        };
        parts.push((group.dataset(&field.name)?, part));
    }
    let optional =
        |name: &str, wanted: bool| if wanted { group.dataset(&internal(name)).map(Some) } else { Ok(None) };
    let any_nullable = schema.payload().iter().any(|field| field.nullable);
    Track::new(Datasets {
        schema: Arc::new(schema.clone()),
        parts,
        size: None,
        seq: Some(group.dataset(datasets::SEQ)?),
        times: (group.dataset(&internal(datasets::TIMESTAMP))?, Clock::Integer { nanoseconds: 1 }),
        validity: optional(datasets::VALIDITY, any_nullable)?,
        lengths: optional(datasets::LENGTHS, variable > 0)?,
    })
}

/// The values are what the layout keeps of them: `f32` and `bool`.
fn matrix(group: &Group, stream: &StreamDescription) -> Result<Track, Failure> {
    let builder = StreamSchema::builder(stream.schema.name(), stream.schema.kind());
    let (schema, parts) = foreign::siphon_columns(group, builder, false)?;
    Track::new(Datasets {
        schema,
        parts,
        size: None,
        seq: Some(group.dataset(&internal(siphon::SEQ))?),
        times: (group.dataset(&internal(siphon::TIMESTAMP))?, Clock::Integer { nanoseconds: 1 }),
        validity: None,
        lengths: None,
    })
}

fn pictures(group: &Group, stream: &StreamDescription) -> Result<Option<Track>, Failure> {
    let seq = Some(group.dataset(&internal(siphon::FRAMES_SEQ))?);
    let times = (group.dataset(&internal(siphon::FRAMES_TIMESTAMP))?, Clock::Integer { nanoseconds: 1 });
    foreign::pictures(group, stream.schema.name(), seq, times)
}
