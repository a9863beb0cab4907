//! Files that lead to other files: nothing outside a recording is read or written, whatever the recording says.
//!
//! The files are made with the C library itself, as an attacker would.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]
#![expect(unsafe_code, reason = "no safe crate makes such files")]

use std::ffi::CString;
use std::path::Path;

use hdf5_sys::h5d::{H5Dclose, H5Dcreate2};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5Fclose, H5Fcreate};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::H5Lcreate_external;
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_DEFAULT, H5Pclose, H5Pcreate, H5Pset_external, H5Pset_virtual,
};
use hdf5_sys::h5s::{H5Sclose, H5Screate_simple};
use hdf5_sys::h5t::{H5T_IEEE_F64LE, H5T_STD_U8LE};

use tapedeck_sdk::{Format, Repair};

static ROWS: u64 = 8;

/// What the values of column `c0` are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Here, in the file itself.
    Here,
    /// Bytes of any file.
    External,
    /// A dataset of another HDF5 file.
    Virtual,
    /// A link to a dataset of another HDF5 file.
    Link,
}

/// Makes a recording of the guide's shape whose column leads to `target`.
fn craft(path: &Path, target: &Path, way: Way) {
    let text = |text: &str| CString::new(text).unwrap();
    let (path, target) = (text(path.to_str().unwrap()), text(target.to_str().unwrap()));
    let _guard = hdf5_sys::LOCK.lock();
    // SAFETY: under the library's lock; all names end in NUL, all identifiers are the ones just made and are closed once.
    unsafe {
        let file = H5Fcreate(path.as_ptr(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        assert!(file >= 0);
        let space = H5Screate_simple(1, &raw const ROWS, std::ptr::null());
        let dataset = |name: &str, element: hid_t, creation: hid_t| {
            let name = CString::new(name).unwrap();
            let id = H5Dcreate2(file, name.as_ptr(), element, space, H5P_DEFAULT, creation, H5P_DEFAULT);
            assert!(id >= 0, "{name:?}");
            H5Dclose(id);
        };
        dataset("timestamps", *H5T_IEEE_F64LE, H5P_DEFAULT);
        let creation = H5Pcreate(*H5P_CLS_DATASET_CREATE);
        match way {
            Way::Here => {}
            Way::External => assert!(H5Pset_external(creation, target.as_ptr(), 0, ROWS) >= 0),
            Way::Virtual => {
                let there = text("c0");
                assert!(H5Pset_virtual(creation, space, target.as_ptr(), there.as_ptr(), space) >= 0);
            }
            Way::Link => {
                let there = text("c0");
                let made = H5Lcreate_external(
                    target.as_ptr(),
                    there.as_ptr(),
                    file,
                    there.as_ptr(),
                    H5P_DEFAULT,
                    H5P_DEFAULT,
                );
                assert!(made >= 0);
            }
        }
        if way != Way::Link {
            dataset("c0", *H5T_STD_U8LE, creation);
        }
        H5Pclose(creation);
        H5Sclose(space);
        H5Fclose(file);
    }
}

fn format() -> std::sync::Arc<dyn Format> {
    tapedeck_hdf5::factory().format().unwrap().clone()
}

/// The bytes of a recording that links to `other.h5` beside it. Made before any file is opened, as no link to another file can be made
/// in this process from then on: each test begins with it.
fn with_a_link() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.h5");
        craft(&path, Path::new("other.h5"), Way::Link);
        std::fs::read(&path).unwrap()
    })
}

#[test]
fn values_in_other_files_are_neither_read_nor_written() {
    with_a_link();
    let folder = tempfile::tempdir().unwrap();
    let (plain, other, recording) =
        (folder.path().join("victim"), folder.path().join("other.h5"), folder.path().join("recording.h5"));
    std::fs::write(&plain, "precious").unwrap();
    craft(&other, &plain, Way::Here);
    let before = std::fs::read(&other).unwrap();
    assert_eq!(format().open(&other).unwrap().streams()[0].payload().len(), 1, "a column of its own is read");
    for (way, target) in [(Way::External, &plain), (Way::Virtual, &other)] {
        craft(&recording, target, way);
        let error = format().open(&recording).err().unwrap();
        assert!(error.message.contains("\"c0\" keeps its values in another file"), "{way:?}: {error}");
        assert!(matches!(format().repair(&recording).unwrap(), Repair::Intact), "{way:?}");
    }
    assert_eq!(std::fs::read(&plain).unwrap(), b"precious");
    assert_eq!(std::fs::read(&other).unwrap(), before);
}

#[test]
fn a_link_into_another_file_leads_nowhere() {
    let link = with_a_link();
    let folder = tempfile::tempdir().unwrap();
    let (other, recording) = (folder.path().join("other.h5"), folder.path().join("recording.h5"));
    craft(&other, &other, Way::Here);
    std::fs::write(&recording, link).unwrap();
    assert_eq!(format().open(&recording).unwrap().streams()[0].payload().len(), 0);
}
