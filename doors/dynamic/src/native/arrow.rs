//! A batch as Arrow's C Data Interface shows it: the same memory, kept alive by the array until it is released.

use std::ffi::c_void;
use std::sync::{Arc, OnceLock};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::{Array as _, StructArray};
use tapedeck_sdk::batch::arrow_schema;
use tapedeck_sdk::native::abi::Bytes;
use tapedeck_sdk::native::keep;
use tapedeck_sdk::{Error, StreamSchema};

/// A stream that comes in, and its Arrow schema once somebody has asked for it.
pub(super) struct Input {
    schema: Arc<StreamSchema>,
    arrow: OnceLock<Arc<arrow_schema::Schema>>,
}

impl Input {
    pub(super) fn new(schema: Arc<StreamSchema>) -> Self {
        Self { schema, arrow: OnceLock::new() }
    }
}

/// Fills `array` (a `struct ArrowArray`) and `schema` (a `struct ArrowSchema`) with a view of a batch.
///
/// # Errors
/// A pointer is null, or the batch is not one of this input; neither struct is touched.
///
/// # Safety
/// `batch` is a batch that is shown, and the structs can be written; or they are null.
pub(super) unsafe fn view(
    input: &Input,
    batch: *const Bytes,
    array: *mut c_void,
    schema: *mut c_void,
) -> Result<(), Error> {
    // SAFETY: the caller promises it.
    let batch = unsafe { batch.as_ref() };
    let Some(batch) = batch.filter(|_| !array.is_null() && !schema.is_null()) else {
        return Err(Error::plugin(
            "the plugin asks for an Arrow view without a batch or without room for it",
        ));
    };
    // SAFETY: the batch is shown during this call.
    let batch = unsafe { keep(input.schema.clone(), batch) }?;
    let arrow = input.arrow.get_or_init(|| Arc::new(arrow_schema(&input.schema)));
    let structs = StructArray::from(batch.to_arrow(arrow)?);
    let made = FFI_ArrowSchema::try_from(arrow.as_ref())
        .map_err(|error| Error::plugin(format!("can't show a schema as Arrow: {error}")))?;
    // SAFETY: the caller promises that the structs can be written; what was in them is not ours to drop.
    unsafe {
        array.cast::<FFI_ArrowArray>().write(FFI_ArrowArray::new(&structs.to_data()));
        schema.cast::<FFI_ArrowSchema>().write(made);
    }
    Ok(())
}
