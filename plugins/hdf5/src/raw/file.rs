//! Files and groups.

use std::ffi::{c_uint, c_void};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hdf5_sys::h5::{H5_INDEX_NAME, H5_ITER_INC, herr_t, hsize_t};
use hdf5_sys::h5f::{
    H5F_ACC_RDONLY, H5F_ACC_RDWR, H5F_ACC_SWMR_READ, H5F_ACC_SWMR_WRITE, H5F_ACC_TRUNC, H5F_LIBVER_V110,
    H5F_SCOPE_LOCAL, H5Fcreate, H5Fflush, H5Fget_filesize, H5Fget_vfd_handle, H5Fopen,
};
use hdf5_sys::h5g::{H5G_info_t, H5Gcreate2, H5Gget_info};
use hdf5_sys::h5i::{H5I_DATASET, H5I_GROUP, H5Iget_type, hid_t};
use hdf5_sys::h5l::{H5Lexists, H5Lget_name_by_idx};
use hdf5_sys::h5o::H5Oopen;
use hdf5_sys::h5p::{
    H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5P_CLS_GROUP_CREATE, H5P_DEFAULT, H5Pcreate, H5Pset,
    H5Pset_attr_phase_change, H5Pset_file_locking, H5Pset_libver_bounds, H5Pset_metadata_read_attempts,
    H5Pset_obj_track_times,
};

use super::{Dataset, Failure, Id, call, name};

/// The most attributes that the root has before the library would move them out of its header.
const ROOT_ATTRIBUTES_MAX: c_uint = 64;

/// How often something that looks torn is read, with waits that add up to a millisecond.
const READ_ATTEMPTS: c_uint = 20;

/// How an existing file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be read, if nobody is writing it and its last writer closed it.
    Whole,
    /// To be read, whether or not somebody is still writing it.
    Read,
    /// To be read, though its writer was killed before the file was in order.
    ReadTorn,
    /// To be mended: the marks of a writer that is gone are cleared.
    Repair,
}

/// An open file. Close the datasets and groups of it first.
#[derive(Debug)]
pub(crate) struct File {
    root: Group,
}

/// A group; the root of a file is one.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) id: Id,
}

/// What a name in a group leads to.
pub(crate) enum Node {
    /// Another group.
    Group(Group),
    /// A dataset.
    Dataset(Dataset),
    /// A dataset whose values lie in another file, which is not opened.
    Elsewhere,
    /// Something else.
    Other,
}

unsafe extern "C" {
    /// Sets the end of the allocated part to the file's end, where that is later. Missing in the bindings.
    fn H5Fincrement_filesize(file: hid_t, increment: hsize_t) -> herr_t;
}

impl File {
    /// Makes a file that readers of 1.10 and later understand. With `swmr` others may read it while it is written, and a killed writer
    /// leaves it readable: objects may be made until the first [`flush`](Self::flush).
    pub(crate) fn create(path: &Path, swmr: bool) -> Result<Self, Failure> {
        let access = access(true)?;
        // SAFETY: property lists are this function's own.
        let creation = Id::new(|| unsafe { H5Pcreate(*H5P_CLS_FILE_CREATE) })?;
        // SAFETY: as above.
        call(|| unsafe {
            H5Pset_attr_phase_change(creation.0, ROOT_ATTRIBUTES_MAX, ROOT_ATTRIBUTES_MAX / 2)
        })?;
        // The same frames make the same bytes, whenever they are written.
        // SAFETY: as above.
        call(|| unsafe { H5Pset_obj_track_times(creation.0, 0) })?;
        let flags = H5F_ACC_TRUNC | if swmr { H5F_ACC_SWMR_WRITE } else { 0 };
        let path = path_name(path)?;
        // SAFETY: the path ends in NUL, the property lists are open.
        let id = Id::new(|| unsafe { H5Fcreate(path.as_ptr(), flags, creation.0, access.0) })?;
        keep_from_children(&id)?;
        Ok(Self { root: Group { id } })
    }

    /// Opens a file.
    pub(crate) fn open(path: &Path, mode: Mode) -> Result<Self, Failure> {
        // A file in order is in nobody's way. One that is not may be in the hands of a writer, who then holds its lock.
        let access = access(matches!(mode, Mode::ReadTorn | Mode::Repair))?;
        if matches!(mode, Mode::ReadTorn | Mode::Repair) {
            for property in [c"clear_status_flags", c"skip_eof_check"] {
                let mut yes = true;
                // SAFETY: both properties of the library's own repair tool are a C `bool`, of which the library takes a copy.
                call(|| unsafe { H5Pset(access.0, property.as_ptr(), (&raw mut yes).cast::<c_void>()) })?;
            }
        }
        let path = path_name(path)?;
        let open = |flags: c_uint| {
            // SAFETY: the path ends in NUL, the property list is open.
            Id::new(|| unsafe { H5Fopen(path.as_ptr(), flags, access.0) })
        };
        let id = match mode {
            Mode::Read => open(H5F_ACC_RDONLY)
                .or_else(|failure| open(H5F_ACC_RDONLY | H5F_ACC_SWMR_READ).map_err(|_as_before| failure))?,
            Mode::Whole | Mode::ReadTorn => open(H5F_ACC_RDONLY)?,
            Mode::Repair => {
                let id = open(H5F_ACC_RDWR)?;
                // SAFETY: the file is open for writing.
                call(|| unsafe { H5Fincrement_filesize(id.0, 0) })?;
                id
            }
        };
        keep_from_children(&id)?;
        Ok(Self { root: Group { id } })
    }

    /// The root group.
    pub(crate) fn root(&self) -> &Group {
        &self.root
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        // SAFETY: the file is open.
        call(|| unsafe { H5Fflush(self.root.id.0, H5F_SCOPE_LOCAL) }).map(drop)
    }

    /// Bytes of the file, with what is allocated and not yet written.
    pub(crate) fn size(&self) -> Result<u64, Failure> {
        let mut size = 0;
        // SAFETY: the file is open and `size` outlives the call.
        call(|| unsafe { H5Fget_filesize(self.root.id.0, &raw mut size) })?;
        Ok(size)
    }

    /// Writes what is left and closes the file.
    pub(crate) fn close(self) -> Result<(), Failure> {
        self.root.id.close()
    }
}

impl Group {
    /// Makes a group inside this one.
    pub(crate) fn group(&self, group: &str) -> Result<Self, Failure> {
        let group = name(group);
        // SAFETY: property lists are this function's own.
        let creation = Id::new(|| unsafe { H5Pcreate(*H5P_CLS_GROUP_CREATE) })?;
        // SAFETY: as above.
        call(|| unsafe { H5Pset_obj_track_times(creation.0, 0) })?;
        // SAFETY: the name ends in NUL, the location and the property list are open.
        let id = Id::new(|| unsafe {
            H5Gcreate2(self.id.0, group.as_ptr(), H5P_DEFAULT, creation.0, H5P_DEFAULT)
        })?;
        Ok(Self { id })
    }

    /// Whether the name leads anywhere.
    pub(crate) fn contains(&self, link: &str) -> bool {
        let link = name(link);
        // SAFETY: the name ends in NUL, the location is open.
        call(|| unsafe { H5Lexists(self.id.0, link.as_ptr(), H5P_DEFAULT) }).is_ok_and(|found| found > 0)
    }

    /// Opens what the name leads to.
    pub(crate) fn open(&self, link: &str) -> Result<Node, Failure> {
        let link = name(link);
        // SAFETY: the name ends in NUL, the location is open.
        let id = Id::new(|| unsafe { H5Oopen(self.id.0, link.as_ptr(), H5P_DEFAULT) })?;
        // SAFETY: the identifier was just opened.
        let kind = call(|| unsafe { H5Iget_type(id.0) as i32 })?;
        Ok(match kind {
            kind if kind == H5I_GROUP as i32 => Node::Group(Self { id }),
            kind if kind == H5I_DATASET as i32 && Dataset::is_elsewhere(&id)? => Node::Elsewhere,
            kind if kind == H5I_DATASET as i32 => {
                Node::Dataset(Dataset::opened(Dataset::reopened(id, &self.id, &link)?)?)
            }
            _ => Node::Other,
        })
    }

    /// The dataset of that name.
    pub(crate) fn dataset(&self, link: &str) -> Result<Dataset, Failure> {
        match self.open(link)? {
            Node::Dataset(dataset) => Ok(dataset),
            Node::Elsewhere => Err(Failure::elsewhere(link)),
            Node::Group(_) | Node::Other => Err(Failure::new(format!("\"{link}\" is not a dataset"))),
        }
    }

    /// The names in the group, sorted, at most `limit` of them.
    pub(crate) fn names(&self, limit: u64) -> Result<Vec<String>, Failure> {
        // SAFETY: a plain C structure of numbers, for which zeros are valid.
        let mut info: H5G_info_t = unsafe { std::mem::zeroed() };
        // SAFETY: the group is open and `info` outlives the call.
        call(|| unsafe { H5Gget_info(self.id.0, &raw mut info) })?;
        (0..info.nlinks.min(limit)).map(|index| self.name_at(index)).collect()
    }

    fn name_at(&self, index: u64) -> Result<String, Failure> {
        let ask = |buffer: *mut std::ffi::c_char, size: usize| {
            let (by, order) = (H5_INDEX_NAME, H5_ITER_INC);
            // SAFETY: the buffer has `size` bytes (none for a null pointer), and the library writes no more.
            let length = call(|| unsafe {
                H5Lget_name_by_idx(self.id.0, c".".as_ptr(), by, order, index, buffer, size, H5P_DEFAULT)
                    as i64
            })?;
            usize::try_from(length).map_err(|error| Failure::new(error.to_string()))
        };
        let length = ask(std::ptr::null_mut(), 0)?;
        let mut bytes = vec![0_u8; length + 1];
        ask(bytes.as_mut_ptr().cast(), length + 1)?;
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(|error| Failure::new(error.to_string()))
    }
}

fn access(lock: bool) -> Result<Id, Failure> {
    // SAFETY: the property list is this function's own.
    let access = Id::new(|| unsafe { H5Pcreate(*H5P_CLS_FILE_ACCESS) })?;
    // SAFETY: as above.
    call(|| unsafe { H5Pset_libver_bounds(access.0, H5F_LIBVER_V110, H5F_LIBVER_V110) })?;
    // While a file is written, the library reads again what looks torn, and waits twice as long each time: by default until the end of
    // the world if it IS torn.
    // SAFETY: as above.
    call(|| unsafe { H5Pset_metadata_read_attempts(access.0, READ_ATTEMPTS) })?;
    // Locks are taken where the file system knows them.
    // SAFETY: as above.
    call(|| unsafe { H5Pset_file_locking(access.0, lock.into(), 1) })?;
    Ok(access)
}

/// The library leaves its files open in every program that this one starts, with their locks.
fn keep_from_children(file: &Id) -> Result<(), Failure> {
    let mut handle: *mut c_void = std::ptr::null_mut();
    // SAFETY: the file is open and `handle` outlives the call.
    call(|| unsafe { H5Fget_vfd_handle(file.0, H5P_DEFAULT, &raw mut handle) })?;
    if handle.is_null() {
        return Ok(());
    }
    // SAFETY: the handle of the library's usual driver is its file descriptor, which is open as long as the file.
    let descriptor = unsafe { BorrowedFd::borrow_raw(*handle.cast::<RawFd>()) };
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)
        .map_err(|error| Failure { errno: Some(error.raw_os_error()), message: error.to_string() })
}

fn path_name(path: &Path) -> Result<std::ffi::CString, Failure> {
    std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|error| Failure::new(error.to_string()))
}
