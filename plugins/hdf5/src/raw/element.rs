//! The types that the elements of a dataset have here, and their types in a file.

use std::ffi::c_char;

use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5t::{
    H5T_C_S1, H5T_CSET_UTF8, H5T_ENUM, H5T_FLOAT, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_INTEGER, H5T_SGN_2,
    H5T_STD_I8LE, H5T_STD_I16LE, H5T_STD_I32LE, H5T_STD_I64LE, H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32LE,
    H5T_STD_U64LE, H5T_STR_NULLPAD, H5T_STRING, H5T_VARIABLE, H5Tcopy, H5Tenum_create, H5Tenum_insert,
    H5Tget_class, H5Tget_nmembers, H5Tget_sign, H5Tget_size, H5Tget_super, H5Tis_variable_str, H5Tset_cset,
    H5Tset_size, H5Tset_strpad,
};

use super::{Failure, Id, call};

/// The type of one element. In memory always little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    /// An enumeration of `FALSE` and `TRUE` in one byte: what h5py writes for and reads as `bool`.
    Bool,
    /// A signed integer of so many bytes (1, 2, 4, 8).
    Signed(usize),
    /// An unsigned integer of so many bytes (1, 2, 4, 8).
    Unsigned(usize),
    /// A floating-point number of so many bytes (4, 8).
    Float(usize),
    /// UTF-8 of so many bytes, filled up with NULs.
    Text(usize),
}

impl Element {
    /// Bytes in memory.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Signed(size) | Self::Unsigned(size) | Self::Float(size) | Self::Text(size) => size,
        }
    }

    /// The library's type, in memory as in a file.
    pub(super) fn data_type(self) -> Result<Id, Failure> {
        match self {
            Self::Bool => bool_type(),
            Self::Text(size) => text_type(size),
            Self::Signed(_) | Self::Unsigned(_) | Self::Float(_) => Id::new(|| match self.number_type() {
                // SAFETY: the library's own types are numbers that stay valid as long as the process.
                Some(number) => unsafe { H5Tcopy(number) },
                None => -1,
            }),
        }
    }

    fn number_type(self) -> Option<hid_t> {
        let number = match self {
            Self::Signed(1) => H5T_STD_I8LE,
            Self::Signed(2) => H5T_STD_I16LE,
            Self::Signed(4) => H5T_STD_I32LE,
            Self::Signed(8) => H5T_STD_I64LE,
            Self::Unsigned(1) => H5T_STD_U8LE,
            Self::Unsigned(2) => H5T_STD_U16LE,
            Self::Unsigned(4) => H5T_STD_U32LE,
            Self::Unsigned(8) => H5T_STD_U64LE,
            Self::Float(4) => H5T_IEEE_F32LE,
            Self::Float(8) => H5T_IEEE_F64LE,
            _ => return None,
        };
        Some(*number)
    }

    /// What a type of the library is, if it is one of ours or can be read as one.
    pub(super) fn of(data_type: &Id) -> Option<Self> {
        let number = data_type.0;
        // SAFETY: the identifier is a type's, and the call only reads it.
        let class = call(|| unsafe { H5Tget_class(number) as i32 }).ok()?;
        // SAFETY: as above. A size of 0 means failure.
        let size = call(|| i64::try_from(unsafe { H5Tget_size(number) }).unwrap_or(-1)).ok()?;
        let size = usize::try_from(size).ok()?;
        match (class, size) {
            (class, 1 | 2 | 4 | 8) if class == H5T_INTEGER as i32 => {
                // SAFETY: as above.
                let sign = call(|| unsafe { H5Tget_sign(number) as i32 }).ok()?;
                Some(if sign == H5T_SGN_2 as i32 { Self::Signed(size) } else { Self::Unsigned(size) })
            }
            (class, 4 | 8) if class == H5T_FLOAT as i32 => Some(Self::Float(size)),
            (class, 1) if class == H5T_ENUM as i32 => {
                // SAFETY: as above; what `H5Tget_super` returns is closed by its `Id`.
                let members = call(|| unsafe { H5Tget_nmembers(number) }).ok()?;
                // SAFETY: as above.
                let base = Id::new(|| unsafe { H5Tget_super(number) }).ok()?;
                (members == 2 && Self::of(&base) == Some(Self::Signed(1))).then_some(Self::Bool)
            }
            (class, 1..) if class == H5T_STRING as i32 => {
                // SAFETY: as above.
                let variable = call(|| unsafe { H5Tis_variable_str(number) }).ok()?;
                (variable == 0).then_some(Self::Text(size))
            }
            _ => None,
        }
    }
}

fn bool_type() -> Result<Id, Failure> {
    // SAFETY: names end in NUL and values are one byte, as the base type says.
    let made = Id::new(|| unsafe { H5Tenum_create(*H5T_STD_I8LE) })?;
    for (name, value) in [(c"FALSE", 0_i8), (c"TRUE", 1_i8)] {
        // SAFETY: as above.
        call(|| unsafe {
            H5Tenum_insert(made.0, name.as_ptr().cast::<c_char>(), (&raw const value).cast())
        })?;
    }
    Ok(made)
}

/// A text type of fixed size, or of varying size for `H5T_VARIABLE`.
fn text_type(size: usize) -> Result<Id, Failure> {
    // SAFETY: calls on a type that was just made and is this function's own.
    let made = Id::new(|| unsafe { H5Tcopy(*H5T_C_S1) })?;
    // SAFETY: as above.
    call(|| unsafe { H5Tset_size(made.0, size) })?;
    // SAFETY: as above.
    call(|| unsafe { H5Tset_cset(made.0, H5T_CSET_UTF8) })?;
    if size != H5T_VARIABLE {
        // SAFETY: as above.
        call(|| unsafe { H5Tset_strpad(made.0, H5T_STR_NULLPAD) })?;
    }
    Ok(made)
}

/// The type of texts of varying length, for attributes.
pub(super) fn variable_text_type() -> Result<Id, Failure> {
    text_type(H5T_VARIABLE)
}
