//! One column of a batch, read in place.

use super::layout::Entry;
use crate::DataType;

/// A number type that a column of fixed width can hold.
pub trait Primitive: bytemuck::Pod + PartialEq + std::fmt::Debug + private::Sealed {
    /// The column type. `i64` also reads timestamps.
    const DATA_TYPE: DataType;
}

mod private {
    pub trait Sealed {}
}

macro_rules! primitive {
    ($($rust:ty => $name:ident),*) => { $(
        impl private::Sealed for $rust {}
        impl Primitive for $rust { const DATA_TYPE: DataType = DataType::$name; }
    )* };
}
primitive!(i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64,
    f32 => Float32, f64 => Float64);

pub(super) fn expect_type<T: Primitive>(data_type: DataType) {
    let same =
        data_type == T::DATA_TYPE || (data_type == DataType::TimestampNs && T::DATA_TYPE == DataType::Int64);
    assert!(same, "the column is of type {data_type}, not {}", T::DATA_TYPE);
}

/// One column of a batch, read in place. Cheap to make and to copy.
#[derive(Clone, Copy)]
pub struct Column<'batch> {
    slab: &'batch [u8],
    entry: Entry,
    data_type: DataType,
    rows: usize,
}

impl<'batch> Column<'batch> {
    pub(super) fn new(slab: &'batch [u8], entry: Entry, data_type: DataType, rows: usize) -> Self {
        Self { slab, entry, data_type, rows }
    }

    /// The type of the values.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// How many values.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a column of fixed width. Zero under a null.
    ///
    /// # Panics
    /// The column is of another type.
    #[must_use]
    pub fn values<T: Primitive>(&self) -> &'batch [T] {
        expect_type::<T>(self.data_type);
        bytemuck::cast_slice(&self.value_bytes()[..self.rows * size_of::<T>()])
    }

    /// The values buffer as it lies in the slab: `rows × width` bytes for fixed widths, a bitmap for `bool`, all the bytes for
    /// varying lengths.
    #[must_use]
    pub fn value_bytes(&self) -> &'batch [u8] {
        &self.slab[self.entry.values as usize..][..self.entry.values_length as usize]
    }

    /// The truth value of a row. False under a null.
    ///
    /// # Panics
    /// The column is of another type, or there is no such row.
    #[must_use]
    pub fn bool_at(&self, row: usize) -> bool {
        assert!(
            self.data_type == DataType::Bool && row < self.rows,
            "row {row} of a {} column",
            self.data_type
        );
        bit(self.value_bytes(), row)
    }

    /// The bytes of a row, whatever the type but `bool`: a number's little-endian bytes, a text's UTF-8, a byte string. Empty or
    /// zero under a null.
    ///
    /// # Panics
    /// The column is `bool`, or there is no such row.
    #[must_use]
    pub fn bytes_at(&self, row: usize) -> &'batch [u8] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        if let Some(width) = self.data_type.width() {
            return &self.value_bytes()[row * width..][..width];
        }
        assert!(self.data_type.is_variable(), "bool values have no bytes of their own");
        let offsets = self.offsets();
        let [begin, end] =
            [offsets[row], offsets[row + 1]].map(|offset| usize::try_from(offset).unwrap_or(0));
        &self.value_bytes()[begin..end]
    }

    /// The text of a row. Empty under a null.
    ///
    /// # Panics
    /// The column is of another type, or there is no such row.
    #[must_use]
    pub fn str_at(&self, row: usize) -> &'batch str {
        assert!(self.data_type == DataType::Utf8, "the column is of type {}", self.data_type);
        std::str::from_utf8(self.bytes_at(row)).expect("text was checked when the batch was made")
    }

    /// The offsets of a column of varying length, `rows + 1` of them.
    ///
    /// # Panics
    /// The column is of fixed width.
    #[must_use]
    pub fn offsets(&self) -> &'batch [i32] {
        assert!(self.entry.offsets != 0, "the column does not vary in length");
        bytemuck::cast_slice(&self.slab[self.entry.offsets as usize..][..(self.rows + 1) * 4])
    }

    /// The validity bitmap; `None` when no value is null.
    #[must_use]
    pub fn validity(&self) -> Option<&'batch [u8]> {
        (self.entry.validity != 0)
            .then(|| &self.slab[self.entry.validity as usize..][..self.rows.div_ceil(8)])
    }

    /// Whether a value is null.
    ///
    /// # Panics
    /// There is no such row.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.validity().is_some_and(|bits| !bit(bits, row))
    }

    /// How many values are null.
    #[must_use]
    pub fn null_count(&self) -> usize {
        self.validity().map_or(0, |bits| (0..self.rows).filter(|&row| !bit(bits, row)).count())
    }

    #[cfg(feature = "arrow")]
    pub(super) fn entry(&self) -> Entry {
        self.entry
    }
}

/// Equal when every value is: null equals null, and floats are compared bit by bit.
impl PartialEq for Column<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.data_type == other.data_type
            && self.rows == other.rows
            && (0..self.rows).all(|row| {
                let null = self.is_null(row);
                null == other.is_null(row)
                    && (null
                        || if self.data_type == DataType::Bool {
                            self.bool_at(row) == other.bool_at(row)
                        } else {
                            self.bytes_at(row) == other.bytes_at(row)
                        })
            })
    }
}

pub(super) fn bit(bits: &[u8], index: usize) -> bool {
    bits[index / 8] & (1 << (index % 8)) != 0
}

pub(super) fn set_bit(bits: &mut [u8], index: usize) {
    bits[index / 8] |= 1 << (index % 8);
}

pub(super) fn clear_bit(bits: &mut [u8], index: usize) {
    bits[index / 8] &= !(1 << (index % 8));
}
