//! numpy's arrays and scalars in a pickle, by the few functions that numpy's own pickles name (numpy 1 and 2, all protocols).

use super::{Id, Made, Pickle, Value};

/// An array or a scalar of numpy's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'p> {
    /// Byte order, kind and size, as `dtype.str` has it: `<f4`, `|b1`, `|V6`.
    pub dtype: String,
    /// The length of each axis; none of a scalar.
    pub shape: Vec<u64>,
    /// Whether the first axis varies fastest.
    pub fortran: bool,
    /// The values, in the order of the axes.
    pub data: &'p [u8],
}

const MULTIARRAY: [&str; 2] = ["numpy._core.multiarray", "numpy.core.multiarray"];
const NUMERIC: [&str; 2] = ["numpy._core.numeric", "numpy.core.numeric"];

impl Pickle<'_> {
    /// The array or scalar of numpy's that a value is. `None` for any other value, and for arrays of objects.
    #[must_use]
    pub fn array(&self, id: Id) -> Option<Array<'_>> {
        let Value::Object(object) = self.get(id) else { return None };
        let (module, name) = self.global(object.class)?;
        let args = self.items(object.args)?;
        if object.made != Made::Call {
            return None;
        }
        match (name, args) {
            ("scalar", &[dtype, data]) if MULTIARRAY.contains(&module) => Some(Array {
                dtype: self.dtype(dtype)?,
                shape: Vec::new(),
                fortran: false,
                data: self.raw(data)?,
            }),
            ("_reconstruct", _) if MULTIARRAY.contains(&module) => {
                let &[_, shape, dtype, fortran, data] = self.items(object.state?)? else { return None };
                let fortran = matches!(self.get(fortran), Value::Bool(true));
                Some(Array {
                    dtype: self.dtype(dtype)?,
                    shape: self.shape(shape)?,
                    fortran,
                    data: self.raw(data)?,
                })
            }
            ("_frombuffer", &[data, dtype, shape, order]) if NUMERIC.contains(&module) => {
                let fortran = matches!(self.get(order), Value::Text(order) if order == "F");
                Some(Array {
                    dtype: self.dtype(dtype)?,
                    shape: self.shape(shape)?,
                    fortran,
                    data: self.raw(data)?,
                })
            }
            _ => None,
        }
    }

    fn shape(&self, id: Id) -> Option<Vec<u64>> {
        let length = |&id: &Id| match self.get(id) {
            Value::Int(length) => u64::try_from(*length).ok(),
            _ => None,
        };
        self.items(id)?.iter().map(length).collect()
    }

    fn raw(&self, id: Id) -> Option<&[u8]> {
        match self.get(id) {
            Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(bytes),
            // Bytes of Python 2 that happen to be ASCII.
            Value::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// A dtype that is no record of objects.
    fn dtype(&self, id: Id) -> Option<String> {
        let Value::Object(object) = self.get(id) else { return None };
        if self.global(object.class) != Some(("numpy", "dtype")) {
            return None;
        }
        let Value::Text(name) = self.get(*self.items(object.args)?.first()?) else { return None };
        if name.starts_with('O') {
            return None;
        }
        let order = object.state.and_then(|state| self.items(state)).and_then(|state| state.get(1));
        let order = order.and_then(|&order| match self.get(order) {
            Value::Text(order) if matches!(&**order, "<" | ">" | "|" | "=") => Some(order.to_string()),
            _ => None,
        });
        Some(format!(
            "{}{name}",
            order.as_deref().map_or("|", |order| if order == "=" { "<" } else { order })
        ))
    }
}
