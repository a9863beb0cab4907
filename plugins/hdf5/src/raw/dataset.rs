//! Datasets that grow by rows.

use std::ffi::{CStr, c_int};

use hdf5_sys::h5d::{
    H5D_FILL_TIME_NEVER, H5D_layout_t, H5Dcreate2, H5Dget_chunk_info_by_coord, H5Dget_create_plist,
    H5Dget_space, H5Dget_type, H5Dopen2, H5Dread, H5Dset_extent, H5Dwrite, H5Dwrite_chunk,
};
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_ACCESS, H5P_CLS_DATASET_CREATE, H5P_DEFAULT, H5Pall_filters_avail, H5Pcreate,
    H5Pget_chunk, H5Pget_external_count, H5Pget_layout, H5Pget_nfilters, H5Pset_chunk, H5Pset_chunk_cache,
    H5Pset_deflate, H5Pset_fill_time, H5Pset_obj_track_times, H5Pset_shuffle,
};
use hdf5_sys::h5s::{
    H5S_ALL, H5S_SELECT_SET, H5S_UNLIMITED, H5Screate_simple, H5Sget_simple_extent_dims,
    H5Sget_simple_extent_ndims, H5Sselect_hyperslab,
};

use super::{Element, Failure, Group, Id, call, name};

/// The most dimensions that the library allows.
const DIMENSIONS_MAX: usize = 32;

/// How the rows of a dataset are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Storage {
    /// Rows of a chunk. 0: a dataset of a fixed number of rows, in one piece.
    pub(crate) chunk_rows: u64,
    /// The level of deflate, or none.
    pub(crate) deflate: Option<u32>,
    /// Whether the bytes of a chunk are sorted by their place in an element, which deflate gains from.
    pub(crate) shuffle: bool,
}

/// A dataset of rows.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(super) id: Id,
    /// None for a type that is not one of ours: it can't be read.
    element: Option<Element>,
    data_type: Id,
    /// Rows first.
    dimensions: Vec<u64>,
}

/// Rows come and go in whole chunks, or nearly so: a cache of the library's own would only copy them once more.
/// Filters need it.
fn uncached() -> Result<Id, Failure> {
    // SAFETY: the class is one of the library's own.
    let access = Id::new(|| unsafe { H5Pcreate(*H5P_CLS_DATASET_ACCESS) })?;
    // SAFETY: the property list is this function's own.
    call(|| unsafe { H5Pset_chunk_cache(access.0, 1, 0, 0.0) })?;
    Ok(access)
}

impl Dataset {
    /// Makes a dataset. `dimensions` are those of the whole; the first, rows, can grow when the storage is chunked.
    pub(crate) fn create(
        group: &Group,
        link: &str,
        element: Element,
        dimensions: &[u64],
        storage: Storage,
    ) -> Result<Self, Failure> {
        let link = name(link);
        let data_type = element.data_type()?;
        let rank = rank(dimensions)?;
        let creation = creation(dimensions, storage)?;
        let mut largest = dimensions.to_vec();
        if let (Some(rows), 1..) = (largest.first_mut(), storage.chunk_rows) {
            *rows = H5S_UNLIMITED;
        }
        // SAFETY: both arrays have `rank` numbers.
        let space = Id::new(|| unsafe { H5Screate_simple(rank, dimensions.as_ptr(), largest.as_ptr()) })?;
        let access = uncached()?;
        // SAFETY: the name ends in NUL, all identifiers are open.
        let id = Id::new(|| unsafe {
            H5Dcreate2(group.id.0, link.as_ptr(), data_type.0, space.0, H5P_DEFAULT, creation.0, access.0)
        })?;
        Ok(Self { id, element: Some(element), data_type, dimensions: dimensions.to_vec() })
    }

    /// Whether the values of an open dataset lie in another file: whoever made this file would choose which.
    pub(super) fn is_elsewhere(id: &Id) -> Result<bool, Failure> {
        // SAFETY: the identifier is an open dataset's.
        let creation = Id::new(|| unsafe { H5Dget_create_plist(id.0) })?;
        // SAFETY: the property list is open.
        let external = call(|| unsafe { H5Pget_external_count(creation.0) })?;
        // SAFETY: as above.
        let layout = call(|| unsafe { H5Pget_layout(creation.0) as i32 })?;
        Ok(external > 0 || layout == H5D_layout_t::H5D_VIRTUAL as i32)
    }

    /// Opens a dataset again so that its rows are read where they are wanted, if no filter keeps them from it.
    pub(super) fn reopened(id: Id, group: &Id, link: &CStr) -> Result<Id, Failure> {
        // SAFETY: the identifier is an open dataset's.
        let creation = Id::new(|| unsafe { H5Dget_create_plist(id.0) })?;
        // SAFETY: the property list is open.
        if call(|| unsafe { H5Pget_nfilters(creation.0) })? > 0 {
            return Ok(id);
        }
        // As long as it is open, it stays as it was opened.
        drop(id);
        let access = uncached()?;
        // SAFETY: the name ends in NUL, the location and the property list are open.
        Id::new(|| unsafe { H5Dopen2(group.0, link.as_ptr(), access.0) })
    }

    pub(super) fn opened(id: Id) -> Result<Self, Failure> {
        // SAFETY: the identifier is an open dataset's.
        let stored = Id::new(|| unsafe { H5Dget_type(id.0) })?;
        let element = Element::of(&stored);
        let data_type = element.map_or(Ok(stored), Element::data_type)?;
        let mut dataset = Self { id, element, data_type, dimensions: Vec::new() };
        dataset.dimensions = dataset.stored_dimensions()?;
        Ok(dataset)
    }

    fn stored_dimensions(&self) -> Result<Vec<u64>, Failure> {
        // SAFETY: the dataset is open.
        let space = Id::new(|| unsafe { H5Dget_space(self.id.0) })?;
        // SAFETY: the dataspace is open.
        let rank = call(|| unsafe { H5Sget_simple_extent_ndims(space.0) })?;
        let mut dimensions = vec![0; usize::try_from(rank).unwrap_or(0).min(DIMENSIONS_MAX)];
        // SAFETY: the array has as many numbers as the space has dimensions, of which there are at most 32.
        call(|| unsafe {
            H5Sget_simple_extent_dims(space.0, dimensions.as_mut_ptr(), std::ptr::null_mut())
        })?;
        Ok(dimensions)
    }

    /// The element type; none if it is not one of ours.
    pub(crate) fn element(&self) -> Option<Element> {
        self.element
    }

    /// The dimensions, rows first. Empty for a single value.
    pub(crate) fn dimensions(&self) -> &[u64] {
        &self.dimensions
    }

    /// Rows.
    pub(crate) fn rows(&self) -> u64 {
        self.dimensions.first().copied().unwrap_or(0)
    }

    /// Bytes of a row in memory; none if it can't be read, or is too large to be.
    pub(crate) fn row_bytes(&self) -> Option<usize> {
        let (_, rest) = self.dimensions.split_first()?;
        rest.iter()
            .try_fold(self.element?.size(), |bytes, &length| bytes.checked_mul(usize::try_from(length).ok()?))
    }

    /// Whether the library has the filters that the chunks went through.
    pub(crate) fn is_readable(&self) -> bool {
        // SAFETY: the dataset is open.
        let creation = Id::new(|| unsafe { H5Dget_create_plist(self.id.0) });
        // SAFETY: the property list is open.
        self.element.is_some()
            && creation
                .is_ok_and(|list| call(|| unsafe { H5Pall_filters_avail(list.0) }).is_ok_and(|all| all > 0))
    }

    /// Grows or cuts the dataset.
    pub(crate) fn set_rows(&mut self, rows: u64) -> Result<(), Failure> {
        let Some(first) = self.dimensions.first_mut() else {
            return Err(Failure::new("a single value has no rows"));
        };
        let before = std::mem::replace(first, rows);
        // SAFETY: the array has as many numbers as the dataset has dimensions.
        let grown = call(|| unsafe { H5Dset_extent(self.id.0, self.dimensions.as_ptr()) });
        if grown.is_err() {
            self.dimensions[0] = before;
        }
        grown.map(drop)
    }

    /// Writes the bytes of a whole chunk as they are, past the filters (there must be none). `first_row` is that of the chunk.
    pub(crate) fn write_chunk(&self, first_row: u64, bytes: &[u8]) -> Result<(), Failure> {
        let mut offset = [0_u64; DIMENSIONS_MAX];
        offset[0] = first_row;
        // SAFETY: the offset has at least as many numbers as the dataset has dimensions; the library reads `bytes.len()` bytes.
        call(|| unsafe {
            H5Dwrite_chunk(self.id.0, H5P_DEFAULT, 0, offset.as_ptr(), bytes.len(), bytes.as_ptr().cast())
        })
        .map(drop)
    }

    /// Writes rows, through the filters.
    pub(crate) fn write_rows(&self, first_row: u64, bytes: &[u8]) -> Result<(), Failure> {
        let (file, memory) = self.selection(first_row, bytes.len())?;
        // SAFETY: the memory space selects exactly `bytes.len()` bytes of elements of `data_type`.
        call(|| unsafe {
            H5Dwrite(self.id.0, self.data_type.0, memory.0, file.0, H5P_DEFAULT, bytes.as_ptr().cast())
        })
        .map(drop)
    }

    /// Reads as many rows as `bytes` has room for.
    pub(crate) fn read_rows(&self, first_row: u64, bytes: &mut [u8]) -> Result<(), Failure> {
        let (file, memory) = self.selection(first_row, bytes.len())?;
        // SAFETY: the memory space selects exactly `bytes.len()` bytes of elements of `data_type`.
        call(|| unsafe {
            H5Dread(self.id.0, self.data_type.0, memory.0, file.0, H5P_DEFAULT, bytes.as_mut_ptr().cast())
        })
        .map(drop)
    }

    /// Reads everything, of a dataset that has no more than `limit` bytes.
    pub(crate) fn read_all(&self, limit: usize) -> Result<Vec<u8>, Failure> {
        let too_large = || Failure::new(format!("a dataset is larger than {limit} bytes, or can't be read"));
        let rows = usize::try_from(self.rows()).ok();
        let bytes = rows.zip(self.row_bytes()).and_then(|(rows, row)| rows.checked_mul(row));
        let mut all = vec![0; bytes.filter(|&bytes| bytes <= limit).ok_or_else(too_large)?];
        // SAFETY: the buffer has room for every element of the dataset in `data_type`.
        call(|| unsafe {
            H5Dread(self.id.0, self.data_type.0, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.as_mut_ptr().cast())
        })?;
        Ok(all)
    }

    /// How many rows from the first on lie in the file before `end`, which is where a file that was cut ends.
    pub(crate) fn rows_before(&self, end: u64) -> Result<u64, Failure> {
        // SAFETY: the dataset is open.
        let creation = Id::new(|| unsafe { H5Dget_create_plist(self.id.0) })?;
        let mut chunk = [0_u64; DIMENSIONS_MAX];
        // SAFETY: the array has room for every dimension. Datasets without chunks give a failure.
        let rank = call(|| unsafe {
            H5Pget_chunk(creation.0, c_int::try_from(DIMENSIONS_MAX).unwrap_or(0), chunk.as_mut_ptr())
        });
        if rank.is_err() || chunk[0] == 0 {
            return Ok(self.rows());
        }
        let (mut row, mut offset) = (0, [0_u64; DIMENSIONS_MAX]);
        while row < self.rows() {
            offset[0] = row;
            let (mut filters, mut address, mut size) = (0, 0, 0);
            // SAFETY: the offset has as many numbers as any dataset has dimensions, the results outlive the call.
            call(|| unsafe {
                let results = (&raw mut filters, &raw mut address, &raw mut size);
                H5Dget_chunk_info_by_coord(self.id.0, offset.as_ptr(), results.0, results.1, results.2)
            })?;
            if address.checked_add(size).is_none_or(|behind| behind > end) {
                break;
            }
            row += chunk[0];
        }
        Ok(row.min(self.rows()))
    }

    /// Selects rows from `first_row` on, as many as fill `bytes`, in the file and in memory.
    fn selection(&self, first_row: u64, bytes: usize) -> Result<(Id, Id), Failure> {
        let row_bytes =
            self.row_bytes().filter(|&row| row > 0).ok_or_else(|| Failure::new("the rows have no length"))?;
        if !bytes.is_multiple_of(row_bytes) {
            return Err(Failure::new("a buffer does not hold whole rows"));
        }
        let mut counts = self.dimensions.clone();
        counts[0] = (bytes / row_bytes) as u64;
        let mut starts = vec![0_u64; counts.len()];
        starts[0] = first_row;
        let rank = rank(&counts)?;
        // SAFETY: the dataset is open.
        let file = Id::new(|| unsafe { H5Dget_space(self.id.0) })?;
        // SAFETY: the arrays have as many numbers as the dataset has dimensions; null strides and blocks mean one.
        call(|| unsafe {
            H5Sselect_hyperslab(
                file.0,
                H5S_SELECT_SET,
                starts.as_ptr(),
                std::ptr::null(),
                counts.as_ptr(),
                std::ptr::null(),
            )
        })?;
        // SAFETY: the array has `rank` numbers; null means that the space can't grow.
        let memory = Id::new(|| unsafe { H5Screate_simple(rank, counts.as_ptr(), std::ptr::null()) })?;
        Ok((file, memory))
    }
}

fn rank(dimensions: &[u64]) -> Result<c_int, Failure> {
    match dimensions.len() {
        0 => Err(Failure::new("a single value has no rows")),
        DIMENSIONS_MAX.. => Err(Failure::new("too many dimensions")),
        rank => c_int::try_from(rank).map_err(|error| Failure::new(error.to_string())),
    }
}

fn creation(dimensions: &[u64], storage: Storage) -> Result<Id, Failure> {
    // SAFETY: the property list is this function's own.
    let creation = Id::new(|| unsafe { H5Pcreate(*H5P_CLS_DATASET_CREATE) })?;
    // SAFETY: as above.
    call(|| unsafe { H5Pset_obj_track_times(creation.0, 0) })?;
    if storage.chunk_rows == 0 {
        return Ok(creation);
    }
    let mut chunk = dimensions.to_vec();
    chunk[0] = storage.chunk_rows;
    // SAFETY: the array has as many numbers as are named.
    call(|| unsafe { H5Pset_chunk(creation.0, rank(&chunk).unwrap_or(-1), chunk.as_ptr()) })?;
    // SAFETY: as above.
    call(|| unsafe { H5Pset_fill_time(creation.0, H5D_FILL_TIME_NEVER) })?;
    if storage.shuffle {
        // SAFETY: as above.
        call(|| unsafe { H5Pset_shuffle(creation.0) })?;
    }
    if let Some(level) = storage.deflate {
        // SAFETY: as above.
        call(|| unsafe { H5Pset_deflate(creation.0, level) })?;
    }
    Ok(creation)
}
