//! Makes columns, rows and views of a convention from the list of its columns. Knows no kind.

use crate::{Column, DataType, RowWriter};

/// A value of a convention's column.
pub(super) trait Value<'batch>: Sized {
    const DATA_TYPE: DataType;
    const NULLABLE: bool = false;

    fn read(column: &Column<'batch>, row: usize) -> Self;

    fn put(self, row: &mut RowWriter<'_, '_>, column: usize);
}

macro_rules! value {
    ($type:ty, $data_type:ident, $read:expr, $set:ident) => {
        impl<'batch> Value<'batch> for $type {
            const DATA_TYPE: DataType = DataType::$data_type;

            fn read(column: &Column<'batch>, row: usize) -> Self {
                let read: fn(&Column<'batch>, usize) -> Self = $read;
                read(column, row)
            }

            fn put(self, row: &mut RowWriter<'_, '_>, column: usize) {
                row.$set(column, self);
            }
        }
    };
}
value!(&'batch str, Utf8, Column::str_at, set_str);
value!(&'batch [u8], Binary, Column::bytes_at, set_bytes);
value!(bool, Bool, Column::bool_at, set_bool);
value!(u32, UInt32, |column, row| column.values::<Self>()[row], set);
value!(f64, Float64, |column, row| column.values::<Self>()[row], set);

impl<'batch, V: Value<'batch>> Value<'batch> for Option<V> {
    const DATA_TYPE: DataType = V::DATA_TYPE;
    const NULLABLE: bool = true;

    fn read(column: &Column<'batch>, row: usize) -> Self {
        (!column.is_null(row)).then(|| V::read(column, row))
    }

    fn put(self, row: &mut RowWriter<'_, '_>, column: usize) {
        match self {
            Some(value) => value.put(row, column),
            None => _ = row.set_null(column),
        }
    }
}

/// The type of a value, by its word in the list of columns.
macro_rules! value_type {
    ($batch:lifetime text) => { &$batch str };
    ($batch:lifetime bytes) => { &$batch [u8] };
    ($batch:lifetime $plain:ident) => { $plain };
    ($batch:lifetime $value:ident or null) => { Option<$crate::kinds::convention::value_type!($batch $value)> };
}

/// The types of a kind's module: `COLUMNS`, `schema`, `Columns`, `View` and `Row`. Each column is listed with its doc comment, its field,
/// its name and its values' type.
macro_rules! convention {
    ($kind:ident: $($(#[$doc:meta])* $field:ident $name:literal ($($type:tt)+),)+) => {
        use $crate::kinds::convention::{Value, value_type};

        /// The payload columns of the convention.
        pub const COLUMNS: &[$crate::kinds::KindColumn] = &[$($crate::kinds::KindColumn {
            name: $name,
            data_type: <value_type!('static $($type)+) as Value<'static>>::DATA_TYPE,
            nullable: <value_type!('static $($type)+) as Value<'static>>::NULLABLE,
        }),+];

        /// Begins the schema of a stream of this kind, to which metadata can be added.
        #[must_use]
        pub fn schema(name: &str) -> $crate::SchemaBuilder {
            $crate::Kind::$kind.schema(name)
        }

        /// Where the columns of a stream of this kind stand among its payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Columns {
            $($(#[$doc])* pub $field: usize,)+
        }

        impl Columns {
            /// Finds them.
            ///
            /// # Errors
            /// The stream is of another kind, or a column is missing or of another type.
            pub fn of(schema: &$crate::StreamSchema) -> Result<Self, $crate::Error> {
                let [$($field),+] = $crate::Kind::$kind.find(schema)?;
                Ok(Self { $($field),+ })
            }

            /// The rows of a batch of the stream.
            #[must_use]
            pub fn view(self, batch: &$crate::Batch) -> View<'_> {
                View { $($field: batch.column(self.$field)),+ }
            }
        }

        /// The rows of a batch, read in place, by their index. One that is not there is a panic.
        #[derive(Clone, Copy)]
        pub struct View<'batch> {
            $($field: $crate::Column<'batch>,)+
        }

        impl<'batch> View<'batch> {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(&self, row: usize) -> value_type!('batch $($type)+) {
                Value::read(&self.$field, row)
            })+
        }

        /// The values of a row that is made.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Row<'row> {
            $($(#[$doc])* pub $field: value_type!('row $($type)+),)+
        }

        impl Row<'_> {
            /// Sets the columns of a row of a batch whose schema is [`schema`]'s.
            pub fn put(self, row: &mut $crate::RowWriter<'_, '_>) {
                let mut column = 0;
                $(self.$field.put(row, column);
                column += 1;)+
                debug_assert_eq!(column, COLUMNS.len());
            }
        }
    };
}
pub(super) use {convention, value_type};
