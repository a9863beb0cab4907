//! The types that a variable may have: how many bytes each takes in the target, and which column it becomes.

use tapedeck_sdk::{DataType, Field};

/// The most bytes that one variable has.
pub(crate) const LENGTH_BYTES_MAX: u64 = 16 << 20;

/// The types whose bytes in the target are those of the column.
const PLAIN: &[(&str, DataType)] = &[
    ("int", DataType::Int32),
    ("float", DataType::Float32),
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
];
/// The types that need a length or a conversion.
const OTHER: &[&str] = &["bool", "binary", "array", "string"];

/// How the bytes of a variable become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// They are the value.
    Plain(DataType),
    /// Any byte but 0 is true.
    Bool,
    /// The bits of a byte that the mask names.
    Masked(u8),
    /// Text up to the first NUL.
    Text,
}

/// A variable's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueType {
    pub(crate) conversion: Conversion,
    /// Bytes in the target.
    pub(crate) length: usize,
}

/// Why a type is none, and which option is to blame.
pub(crate) struct TypeError {
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl ValueType {
    /// From the options `type`, `length` (bytes; 0: not given) and `mask`.
    pub(crate) fn parse(name: &str, length: u64, mask: u32) -> Result<Self, TypeError> {
        if mask != 0xff && name != "binary" && names().any(|known| known == name) {
            let message = format!("a mask does nothing for type \"{name}\"");
            return Err(TypeError {
                key: "mask",
                message,
                hint: "only type \"binary\" takes a mask".to_owned(),
            });
        }
        let plain = PLAIN.iter().find(|(plain, _)| *plain == name).map(|&(_, data_type)| data_type);
        match (plain, name) {
            (Some(data_type), _) => {
                fixed(name, Conversion::Plain(data_type), data_type.width().unwrap_or(0), length)
            }
            (None, "bool") => fixed(name, Conversion::Bool, 1, length),
            (None, "binary") => fixed(name, Conversion::Masked(parse_mask(mask)?), 1, length),
            (None, "array") => {
                let length = parse_length(name, length)?;
                let width = u32::try_from(length).expect("the limit is far below 4 GiB");
                Ok(Self { conversion: Conversion::Plain(DataType::FixedBinary(width)), length })
            }
            (None, "string") => {
                Ok(Self { conversion: Conversion::Text, length: parse_length(name, length)? })
            }
            (None, _) => Err(unknown_type(name)),
        }
    }

    /// The column of a variable. It may be null: a pointer may be dead.
    pub(crate) fn field(self, name: &str) -> Field {
        let data_type = match self.conversion {
            Conversion::Plain(data_type) => data_type,
            Conversion::Bool => DataType::Bool,
            Conversion::Masked(_) => DataType::UInt8,
            Conversion::Text => DataType::Utf8,
        };
        let mut field = Field { nullable: true, ..Field::new(name, data_type) };
        if self.conversion == Conversion::Text {
            field.metadata.insert(Field::LENGTH_MAX.to_owned(), self.row_bytes().to_string());
        }
        field
    }

    /// The most bytes of a value in a row. Text may grow: a byte that is no UTF-8 becomes U+FFFD, which has three.
    pub(crate) fn row_bytes(self) -> usize {
        if self.conversion == Conversion::Text { self.length * 3 } else { self.length }
    }
}

/// All type names.
fn names() -> impl Iterator<Item = &'static str> {
    PLAIN.iter().map(|(name, _)| *name).chain(OTHER.iter().copied())
}

fn fixed(name: &str, conversion: Conversion, width: usize, length: u64) -> Result<ValueType, TypeError> {
    if length != 0 && length != width as u64 {
        let message = format!("type \"{name}\" has {width} bytes, not {length}");
        return Err(TypeError {
            key: "length",
            message,
            hint: "leave `length` out, or choose the type that has it".to_owned(),
        });
    }
    Ok(ValueType { conversion, length: width })
}

fn parse_length(name: &str, length: u64) -> Result<usize, TypeError> {
    let error = |message, hint: &str| TypeError { key: "length", message, hint: hint.to_owned() };
    if length == 0 {
        return Err(error(format!("type \"{name}\" has length 0"), "say how many bytes it has: length = 16"));
    }
    if length > LENGTH_BYTES_MAX {
        return Err(error(
            format!("length {length} is above the limit of {LENGTH_BYTES_MAX} bytes"),
            "read it in several attributes",
        ));
    }
    Ok(usize::try_from(length).expect("the limit is far below 4 GiB"))
}

fn parse_mask(mask: u32) -> Result<u8, TypeError> {
    match u8::try_from(mask) {
        Ok(0) | Err(_) => Err(TypeError {
            key: "mask",
            message: format!("mask {mask:#x} is out of range"),
            hint: "the mask chooses bits of one byte: 0x01 to 0xFF".to_owned(),
        }),
        Ok(mask) => Ok(mask),
    }
}

fn unknown_type(name: &str) -> TypeError {
    let all = names().collect::<Vec<_>>().join(", ");
    if name.is_empty() {
        return TypeError {
            key: "type",
            message: "it has no type".to_owned(),
            hint: format!("the types are {all}"),
        };
    }
    let hint = match tapedeck_sdk::names::closest(name, names()) {
        Some(near) => format!("did you mean \"{near}\"? The types are {all}"),
        None => format!("the types are {all}"),
    };
    TypeError { key: "type", message: format!("unknown type \"{name}\""), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, length: u64, mask: u32) -> (&'static str, String, String) {
        let error = ValueType::parse(name, length, mask).unwrap_err();
        (error.key, error.message, error.hint)
    }

    impl std::fmt::Debug for TypeError {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(&self.message)
        }
    }

    #[test]
    fn every_type_becomes_its_column() {
        for (name, length, expected) in [
            ("int", 0, DataType::Int32),
            ("int", 4, DataType::Int32),
            ("float", 0, DataType::Float32),
            ("u16", 2, DataType::UInt16),
            ("f64", 0, DataType::Float64),
            ("bool", 1, DataType::Bool),
            ("binary", 0, DataType::UInt8),
            ("array", 12, DataType::FixedBinary(12)),
            ("string", 16, DataType::Utf8),
        ] {
            let field = ValueType::parse(name, length, 0xff).unwrap().field("x");
            assert_eq!((field.data_type, field.nullable), (expected, true), "{name}");
        }
    }

    #[test]
    fn the_most_bytes_of_a_text_are_in_its_metadata() {
        assert_eq!(ValueType::parse("string", 16, 0xff).unwrap().field("x").length_max(), Some(48));
    }

    #[test]
    fn bad_types_lengths_and_masks_are_refused_with_a_hint() {
        assert_eq!(refused("flaot", 0, 0xff).1, "unknown type \"flaot\"");
        assert!(refused("flaot", 0, 0xff).2.starts_with("did you mean \"float\"?"));
        assert_eq!(refused("", 0, 0xff).1, "it has no type");
        assert_eq!(refused("array", 0, 0xff).0, "length");
        assert_eq!(refused("string", 0, 0xff).1, "type \"string\" has length 0");
        assert_eq!(refused("array", u64::MAX, 0xff).0, "length");
        assert_eq!(refused("int", 8, 0xff).1, "type \"int\" has 4 bytes, not 8");
        assert_eq!(refused("binary", 0, 0).0, "mask");
        assert_eq!(refused("binary", 0, 0x100).0, "mask");
        assert_eq!(refused("int", 0, 1).1, "a mask does nothing for type \"int\"");
    }
}
