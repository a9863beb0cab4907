//! Attributes: small named values of a group or dataset.

use std::ffi::{CStr, CString, c_char, c_void};

use hdf5_sys::h5::H5free_memory;
use hdf5_sys::h5a::{H5Acreate2, H5Aexists, H5Aget_space, H5Aget_type, H5Aopen, H5Aread, H5Awrite};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_SCALAR, H5Screate, H5Screate_simple, H5Sget_simple_extent_npoints};
use hdf5_sys::h5t::{H5T_STRING, H5Tget_class, H5Tis_variable_str};

use super::element::variable_text_type;
use super::{Dataset, Element, Failure, Group, Id, call, name};

/// The most values of an attribute that are read.
const VALUES_MAX: usize = 1 << 20;

/// What can have attributes.
pub(crate) trait Owner {
    #[doc(hidden)]
    fn number(&self) -> i64;
}

impl Owner for Group {
    fn number(&self) -> i64 {
        self.id.0
    }
}

impl Owner for Dataset {
    fn number(&self) -> i64 {
        self.id.0
    }
}

/// Writes a text of any length up to the 64 KiB that an object's header can hold.
pub(crate) fn set_text(owner: &impl Owner, key: &str, value: &str) -> Result<(), Failure> {
    // SAFETY: makes a dataspace.
    let space = Id::new(|| unsafe { H5Screate(H5S_SCALAR) })?;
    write_texts(owner, key, &space, &[value])
}

/// Writes a list of texts.
pub(crate) fn set_texts<S: AsRef<str>>(owner: &impl Owner, key: &str, values: &[S]) -> Result<(), Failure> {
    let count = values.len() as u64;
    // SAFETY: one dimension, one number; null means that the space can't grow.
    let space = Id::new(|| unsafe { H5Screate_simple(1, &raw const count, std::ptr::null()) })?;
    write_texts(owner, key, &space, values)
}

fn write_texts<S: AsRef<str>>(
    owner: &impl Owner,
    key: &str,
    space: &Id,
    values: &[S],
) -> Result<(), Failure> {
    let texts: Vec<CString> = values.iter().map(|value| name(value.as_ref())).collect();
    let mut pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let data_type = variable_text_type()?;
    // SAFETY: the space has as many elements as there are pointers before the null, each to a text that ends in NUL.
    unsafe { write(owner, key, &data_type, space, pointers.as_ptr().cast()) }
}

/// Writes an unsigned number, in place of the one that is there.
pub(crate) fn set_number(owner: &impl Owner, key: &str, value: u64) -> Result<(), Failure> {
    // SAFETY: makes a dataspace.
    let space = Id::new(|| unsafe { H5Screate(H5S_SCALAR) })?;
    let data_type = Element::Unsigned(8).data_type()?;
    // SAFETY: one element of eight bytes.
    unsafe { write(owner, key, &data_type, &space, (&raw const value).cast()) }
}

/// # Safety
/// `values` leads to as many elements of the type as the space has.
unsafe fn write(
    owner: &impl Owner,
    key: &str,
    data_type: &Id,
    space: &Id,
    values: *const c_void,
) -> Result<(), Failure> {
    let key = name(key);
    let owner = owner.number();
    // SAFETY: the name ends in NUL, the owner is open.
    let there = call(|| unsafe { H5Aexists(owner, key.as_ptr()) })? > 0;
    let attribute = if there {
        // SAFETY: as above.
        Id::new(|| unsafe { H5Aopen(owner, key.as_ptr(), H5P_DEFAULT) })?
    } else {
        // SAFETY: as above.
        Id::new(|| unsafe {
            H5Acreate2(owner, key.as_ptr(), data_type.0, space.0, H5P_DEFAULT, H5P_DEFAULT)
        })?
    };
    // SAFETY: the caller's promise.
    call(|| unsafe { H5Awrite(attribute.0, data_type.0, values) }).map(drop)
}

/// Reads an attribute of texts; none if it is not there or of another type.
pub(crate) fn texts(owner: &impl Owner, key: &str) -> Option<Vec<String>> {
    let (key, owner) = (name(key), owner.number());
    // SAFETY: the name ends in NUL, the owner is open.
    if call(|| unsafe { H5Aexists(owner, key.as_ptr()) }).ok()? == 0 {
        return None;
    }
    // SAFETY: as above.
    let attribute = Id::new(|| unsafe { H5Aopen(owner, key.as_ptr(), H5P_DEFAULT) }).ok()?;
    // SAFETY: the attribute is open.
    let space = Id::new(|| unsafe { H5Aget_space(attribute.0) }).ok()?;
    // SAFETY: the dataspace is open.
    let count = call(|| unsafe { H5Sget_simple_extent_npoints(space.0) as i64 }).ok()?;
    let count = usize::try_from(count).ok().filter(|&count| count <= VALUES_MAX)?;
    // SAFETY: the attribute is open.
    let data_type = Id::new(|| unsafe { H5Aget_type(attribute.0) }).ok()?;
    match Element::of(&data_type) {
        Some(Element::Text(size)) => {
            let mut bytes = vec![0_u8; count.checked_mul(size)?];
            let memory = Element::Text(size).data_type().ok()?;
            // SAFETY: there is room for `count` elements of `size` bytes.
            call(|| unsafe { H5Aread(attribute.0, memory.0, bytes.as_mut_ptr().cast()) }).ok()?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
            Some(bytes.chunks_exact(size).map(text).collect())
        }
        Some(_) => None,
        None => variable_texts(&attribute, &data_type, count),
    }
}

fn variable_texts(attribute: &Id, data_type: &Id, count: usize) -> Option<Vec<String>> {
    // SAFETY: the type is open.
    let is_text = call(|| unsafe { H5Tget_class(data_type.0) as i32 }).ok()? == H5T_STRING as i32;
    // SAFETY: the type is open.
    if !is_text || call(|| unsafe { H5Tis_variable_str(data_type.0) }).ok()? == 0 {
        return None;
    }
    let mut pointers: Vec<*mut c_char> = vec![std::ptr::null_mut(); count];
    // The stored character set (ASCII or UTF-8) must be asked for as it is: the library does not convert it.
    // SAFETY: there is room for `count` pointers, which is what texts of varying length are in memory.
    call(|| unsafe { H5Aread(attribute.0, data_type.0, pointers.as_mut_ptr().cast()) }).ok()?;
    let mut texts = Vec::with_capacity(count);
    for pointer in pointers {
        if pointer.is_null() {
            texts.push(String::new());
            continue;
        }
        // SAFETY: the library allocated a text that ends in NUL.
        texts.push(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned());
        // SAFETY: the text is ours to free, once.
        drop(call(|| unsafe { H5free_memory(pointer.cast()) }));
    }
    Some(texts)
}
