//! The descriptors (`google.protobuf.FileDescriptorSet`, descriptor.proto) of the messages that we write, made by hand: a message's fields
//! are known only when a stream is.

use std::collections::HashSet;

use tapedeck_sdk::{DataType, StreamSchema};

use crate::rows::field_number;
use crate::wire::{put_bytes, put_number};

/// The package of messages that are made for a stream.
const PACKAGE: &str = "tapedeck";

/// `FieldDescriptorProto.Label`.
#[derive(Clone, Copy)]
enum Label {
    Optional = 1,
    Required = 2,
}

/// `FieldDescriptorProto.Type`, those that are used here.
#[derive(Clone, Copy)]
enum Type {
    Double = 1,
    Float = 2,
    Int64 = 3,
    Int32 = 5,
    Fixed64 = 6,
    Fixed32 = 7,
    Bool = 8,
    String = 9,
    Message = 11,
    Bytes = 12,
    UInt32 = 13,
    SFixed32 = 15,
    SFixed64 = 16,
    SInt32 = 17,
}

fn type_of(data_type: DataType) -> Type {
    match data_type {
        DataType::Bool => Type::Bool,
        DataType::Int8 | DataType::Int16 => Type::SInt32,
        DataType::UInt8 | DataType::UInt16 => Type::UInt32,
        DataType::Int32 => Type::SFixed32,
        DataType::UInt32 => Type::Fixed32,
        DataType::Int64 | DataType::TimestampNs => Type::SFixed64,
        DataType::UInt64 => Type::Fixed64,
        DataType::Float32 => Type::Float,
        DataType::Float64 => Type::Double,
        DataType::Utf8 => Type::String,
        DataType::Binary | DataType::FixedBinary(_) => Type::Bytes,
    }
}

/// A field: name, number, label, type.
fn field(name: &str, number: u32, label: Label, kind: Type) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_number(&mut out, 3, number.into());
    put_number(&mut out, 4, label as u64);
    put_number(&mut out, 5, kind as u64);
    out
}

/// A field that holds a point in time.
fn time_field(name: &str, number: u32) -> Vec<u8> {
    let mut out = field(name, number, Label::Optional, Type::Message);
    put_bytes(&mut out, 6, b".google.protobuf.Timestamp");
    out
}

/// A `DescriptorProto`.
fn message(name: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    fields.iter().for_each(|field| put_bytes(&mut out, 2, field));
    out
}

/// A `FileDescriptorProto` of one message.
fn file(name: &str, package: &str, dependency: Option<&str>, message: &[u8], proto3: bool) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_bytes(&mut out, 2, package.as_bytes());
    if let Some(dependency) = dependency {
        put_bytes(&mut out, 3, dependency.as_bytes());
    }
    put_bytes(&mut out, 4, message);
    if proto3 {
        put_bytes(&mut out, 12, b"proto3");
    }
    out
}

fn set(files: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    files.iter().for_each(|file| put_bytes(&mut out, 1, file));
    out
}

/// A name as protocol buffers allow them: letters, digits, `_`, no digit first.
fn identifier(name: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let clean: String = name.chars().map(allowed).collect();
    if clean.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') {
        clean
    } else {
        format!("_{clean}")
    }
}

/// The message of a stream's rows: its full name and its descriptor. Columns that are never null are required.
pub(crate) fn of_rows(schema: &StreamSchema) -> (String, Vec<u8>) {
    let mut taken = HashSet::new();
    let mut fields = Vec::with_capacity(schema.payload().len());
    for (index, column) in schema.payload().iter().enumerate() {
        let number = field_number(1, index);
        let plain = identifier(&column.name);
        let mut name = plain.clone();
        let mut suffix = u64::from(number);
        while taken.contains(&name) {
            name = format!("{plain}_{suffix}");
            suffix += 1;
        }
        let label = if column.nullable { Label::Optional } else { Label::Required };
        fields.push(field(&name, number, label, type_of(column.data_type)));
        taken.insert(name);
    }
    let name = identifier(schema.name());
    let file = file(&format!("tapedeck/{name}.proto"), PACKAGE, None, &message(&name, &fields), false);
    (format!("{PACKAGE}.{name}"), set(&[file]))
}

/// A message of Foxglove's (docs.foxglove.dev/docs/visualization/message-schemas) with a time and these fields.
fn foxglove(name: &str, fields: Vec<Vec<u8>>) -> Vec<u8> {
    const TIMESTAMP: &str = "google/protobuf/timestamp.proto";
    let time =
        [field("seconds", 1, Label::Optional, Type::Int64), field("nanos", 2, Label::Optional, Type::Int32)];
    let time = file(TIMESTAMP, "google.protobuf", None, &message("Timestamp", &time), true);
    let fields = [vec![time_field("timestamp", 1)], fields].concat();
    let file_name = format!("foxglove/{name}.proto");
    set(&[time, file(&file_name, "foxglove", Some(TIMESTAMP), &message(name, &fields), true)])
}

/// `foxglove.RawImage`.
pub(crate) fn raw_image() -> Vec<u8> {
    let fields = vec![
        field("frame_id", 7, Label::Optional, Type::String),
        field("width", 2, Label::Optional, Type::Fixed32),
        field("height", 3, Label::Optional, Type::Fixed32),
        field("encoding", 4, Label::Optional, Type::String),
        field("step", 5, Label::Optional, Type::Fixed32),
        field("data", 6, Label::Optional, Type::Bytes),
    ];
    foxglove("RawImage", fields)
}

/// `foxglove.CompressedImage`.
pub(crate) fn compressed_image() -> Vec<u8> {
    let fields = vec![
        field("frame_id", 4, Label::Optional, Type::String),
        field("data", 2, Label::Optional, Type::Bytes),
        field("format", 3, Label::Optional, Type::String),
    ];
    foxglove("CompressedImage", fields)
}

/// `foxglove.CompressedVideo`.
pub(crate) fn compressed_video() -> Vec<u8> {
    let fields = vec![
        field("frame_id", 2, Label::Optional, Type::String),
        field("data", 3, Label::Optional, Type::Bytes),
        field("format", 4, Label::Optional, Type::String),
    ];
    foxglove("CompressedVideo", fields)
}
