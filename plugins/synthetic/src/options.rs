//! The options of the source, and what follows from them: the columns, the schema, the size of a batch.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use tapedeck_sdk::COLUMNS_MAX;
use tapedeck_sdk::prelude::*;

use crate::value::Pattern;

/// A batch that nobody sized has at most so many rows…
const DEFAULT_ROWS_MAX: usize = 1024;
/// …and at most about so many bytes.
const DEFAULT_BYTES_MAX: usize = 1 << 20;
/// A batch that somebody sized has at most so many rows.
const BATCH_ROWS_MAX: usize = 65_536;
/// And at most so many bytes in columns of known width.
const BATCH_BYTES_MAX: usize = 512 << 20;

/// Options of the `synthetic` source.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "rate": 60, "columns": 8, "pattern": "sine" }]))]
pub struct SyntheticOptions {
    /// What the frames are: `attributes` has the columns described below, the other kinds have their own columns with tiny values.
    #[serde(default = "default_kind")]
    pub kind: Kind,
    /// How many columns (`c0`, `c1`, …), all of `type` and `pattern`. 8 if there is no `fields` table.
    pub columns: Option<usize>,
    /// The type of these columns: `bool`, `i8` to `u64`, `f32`, `f64`, `timestamp_ns`, `utf8`, `binary`, `fixed_binary[16]`.
    #[serde(rename = "type", default = "default_type")]
    #[schemars(with = "String")]
    pub data_type: DataType,
    /// How the values of these columns run.
    #[serde(default)]
    pub pattern: Pattern,
    /// Columns by name, each with a type and a pattern of its own; behind the `columns`, if both are given.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, FieldOptions>")]
    pub fields: IndexMap<String, FieldOptions>,
    /// What random values follow from.
    #[serde(default)]
    pub seed: u64,
    /// Rows in a batch. Default: 1 with a `rate`; without one, 1,024 or as many as make 1 MiB.
    #[schemars(extend("x-unit" = "rows"))]
    pub batch_rows: Option<usize>,
    /// Rows until the source ends. Default: it never does.
    #[schemars(extend("x-unit" = "rows"))]
    pub count: Option<u64>,
}

/// One column.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldOptions {
    /// The column's type: `bool`, `i8` to `u64`, `f32`, `f64`, `timestamp_ns`, `utf8`, `binary`, `fixed_binary[16]`.
    #[serde(rename = "type", default = "default_type")]
    #[schemars(with = "String")]
    pub data_type: DataType,
    /// How the values run.
    #[serde(default)]
    pub pattern: Pattern,
    /// After how many rows `sine` begins again, and how many rows a step of `steps` lasts.
    #[serde(default = "default_period")]
    #[schemars(extend("x-unit" = "rows"))]
    pub period: u64,
    /// The share of values that are null, from 0 to 1.
    #[serde(default)]
    pub nulls: f64,
    /// The unit, for readers.
    pub unit: Option<String>,
}

/// Options as they are when none is given.
impl Default for SyntheticOptions {
    fn default() -> Self {
        Self {
            kind: default_kind(),
            columns: None,
            data_type: default_type(),
            pattern: Pattern::default(),
            fields: IndexMap::new(),
            seed: 0,
            batch_rows: None,
            count: None,
        }
    }
}

fn default_kind() -> Kind {
    Kind::Attributes
}

fn default_type() -> DataType {
    DataType::Float64
}

fn default_period() -> u64 {
    Pattern::DEFAULT_PERIOD
}

/// One column, ready to be filled.
pub(crate) struct ColumnPlan {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) pattern: Pattern,
    pub(crate) period: u64,
    pub(crate) nulls: f64,
    unit: Option<String>,
}

pub(crate) fn check(options: &SyntheticOptions) -> Result<(), Error> {
    let columns = options.columns.unwrap_or(0) + options.fields.len();
    if options.kind != Kind::Attributes && columns > 0 {
        let key = if options.fields.is_empty() { "columns" } else { "fields" };
        let message = format!("frames of kind \"{}\" have columns of their own", options.kind);
        return Err(Error::option([key], message)
            .with_hint("Leave the columns out, or take the kind \"attributes\"."));
    }
    if columns > COLUMNS_MAX {
        return Err(Error::option(["columns"], format!("{columns} columns, the limit is {COLUMNS_MAX}")));
    }
    for (name, field) in &options.fields {
        if !(0.0..=1.0).contains(&field.nulls) {
            let message = format!("{} is no share of nulls", field.nulls);
            return Err(
                Error::option(["fields", name, "nulls"], message).with_hint("Take a number from 0 to 1.")
            );
        }
        if field.period == 0 {
            return Err(Error::option(["fields", name, "period"], "a period lasts at least 1 row"));
        }
    }
    check_batch_rows(options)
}

fn check_batch_rows(options: &SyntheticOptions) -> Result<(), Error> {
    let Some(rows) = options.batch_rows else { return Ok(()) };
    let refuse = |message: String, most: usize| {
        Err(Error::option(["batch_rows"], message).with_hint(format!("Take a number from 1 to {most}.")))
    };
    if rows == 0 || rows > BATCH_ROWS_MAX {
        return refuse(format!("a batch of {rows} rows is not possible"), BATCH_ROWS_MAX);
    }
    let width: usize = plans(options).iter().map(|plan| plan.data_type.width().unwrap_or(24)).sum();
    let most = (BATCH_BYTES_MAX / width.max(1)).clamp(1, BATCH_ROWS_MAX);
    if rows > most {
        refuse(format!("a batch of {rows} rows of {width} bytes is too large"), most)
    } else {
        Ok(())
    }
}

/// The columns in order: the numbered ones, then the named ones.
pub(crate) fn plans(options: &SyntheticOptions) -> Vec<ColumnPlan> {
    let count = options.columns.unwrap_or(if options.fields.is_empty() { 8 } else { 0 });
    let numbered = (0..count).map(|number| ColumnPlan {
        name: format!("c{number}"),
        data_type: options.data_type,
        pattern: options.pattern,
        period: Pattern::DEFAULT_PERIOD,
        nulls: 0.0,
        unit: None,
    });
    let named = options.fields.iter().map(|(name, field)| ColumnPlan {
        name: name.clone(),
        data_type: field.data_type,
        pattern: field.pattern,
        period: field.period,
        nulls: field.nulls,
        unit: field.unit.clone(),
    });
    numbered.chain(named).collect()
}

pub(crate) fn schema(id: &str, plans: &[ColumnPlan]) -> Result<Arc<StreamSchema>, Error> {
    let mut builder = StreamSchema::builder(id, Kind::Attributes);
    for plan in plans {
        let mut field = Field { nullable: plan.nulls > 0.0, ..Field::new(&plan.name, plan.data_type) };
        if let Some(unit) = &plan.unit {
            field.metadata.insert(Field::UNIT.to_owned(), unit.clone());
        }
        let length_max = match plan.data_type {
            DataType::Utf8 => crate::value::TEXT_BYTES_MAX,
            DataType::Binary => crate::value::BINARY_BYTES,
            _ => 0,
        };
        if length_max > 0 {
            field.metadata.insert(Field::LENGTH_MAX.to_owned(), length_max.to_string());
        }
        builder = builder.push(field);
    }
    builder.build()
}

/// How many rows a batch has room for.
pub(crate) fn batch_rows(options: &SyntheticOptions, schema: &StreamSchema, paced: bool) -> usize {
    let row: usize = schema.fields().iter().map(|field| field.length_max().unwrap_or(64)).sum();
    let default = if paced { 1 } else { (DEFAULT_BYTES_MAX / row).clamp(1, DEFAULT_ROWS_MAX) };
    options.batch_rows.unwrap_or(default)
}
