//! What the layout means for one input stream: made once.

use tapedeck_sdk::names::did_you_mean;
use tapedeck_sdk::prelude::*;

use crate::field;
use crate::options::DecodeOptions;

/// What to do with the batches of one input.
pub(crate) struct Plan {
    pub(crate) pool: BatchPool,
    /// The column to decode.
    pub(crate) column: usize,
    /// The columns that go on.
    pub(crate) kept: Vec<usize>,
    pub(crate) fields: Vec<field::Field>,
}

impl Plan {
    pub(crate) fn new(options: &DecodeOptions, input: &StreamSchema, name: &str) -> Result<Self, Error> {
        let column = match &options.column {
            Some(name) => named(input, name)?,
            None => only(input)?,
        };
        let source = &input.payload()[column];
        let mut builder = StreamSchema::builder(name, Kind::Attributes);
        for (key, value) in input.metadata() {
            builder = builder.metadata(key, value);
        }
        let others = (0..input.payload().len()).filter(|&index| index != column);
        let kept: Vec<usize> = if options.keep { others.collect() } else { Vec::new() };
        for &index in &kept {
            builder = builder.push(input.payload()[index].clone());
        }
        let mut fields = Vec::with_capacity(options.fields.len());
        for (name, options) in &options.fields {
            let field = field::Field::new(options);
            if let Some(most) = source.length_max().filter(|&most| field.end() > most) {
                let message = format!(
                    "field \"{name}\" ends at byte {}, column \"{}\" has {most} bytes",
                    field.end(),
                    source.name
                );
                return Err(Error::data(message).at_option(["fields", name, "offset"]));
            }
            // Every value is long enough: the type says so, and the field ends before that.
            let fixed = source.data_type.width().is_some() && !source.nullable;
            let mut made =
                Field { nullable: !(fixed && field.always_there()), ..Field::new(name, field.data_type()) };
            if let Some(unit) = &options.unit {
                made.metadata.insert(Field::UNIT.to_owned(), unit.clone());
            }
            if made.data_type.is_variable() {
                let rest = source.length_max().map(|most| most.saturating_sub(options.offset as usize));
                if let Some(most) = options.length.map(|length| length as usize).or(rest) {
                    made.metadata.insert(Field::LENGTH_MAX.to_owned(), most.to_string());
                }
            }
            builder = builder.push(made);
            fields.push(field);
        }
        let schema = builder.build().map_err(|error| {
            error.at_option(["fields"]).with_hint("Give the field another name, or say keep = false.")
        })?;
        Ok(Self { pool: BatchPool::new(schema), column, kept, fields })
    }
}

fn is_binary(field: &Field) -> bool {
    matches!(field.data_type, DataType::Binary | DataType::FixedBinary(_))
}

fn named(input: &StreamSchema, name: &str) -> Result<usize, Error> {
    if let Some(index) = input.payload_index(name) {
        let field = &input.payload()[index];
        return if is_binary(field) {
            Ok(index)
        } else {
            let message = format!(
                "column \"{name}\" of stream \"{}\" is of type {}, not binary",
                input.name(),
                field.data_type
            );
            Err(Error::data(message).at_option(["column"]))
        };
    }
    let error = Error::data(format!("no column of stream \"{}\" is called \"{name}\"", input.name()))
        .at_option(["column"]);
    let binary = input.payload().iter().filter(|field| is_binary(field)).map(|field| field.name.as_str());
    Err(error.with_hint(did_you_mean(name, binary, "binary columns")))
}

fn only(input: &StreamSchema) -> Result<usize, Error> {
    let binary: Vec<usize> =
        (0..input.payload().len()).filter(|&index| is_binary(&input.payload()[index])).collect();
    match binary[..] {
        [index] => Ok(index),
        [] => Err(Error::data(format!("stream \"{}\" has no binary column to decode", input.name()))),
        _ => {
            let names: Vec<_> = binary.iter().map(|&index| input.payload()[index].name.as_str()).collect();
            let error = Error::data(format!(
                "stream \"{}\" has several binary columns: {}",
                input.name(),
                names.join(", ")
            ));
            Err(error.with_hint("Say which one with column = \"…\"."))
        }
    }
}
