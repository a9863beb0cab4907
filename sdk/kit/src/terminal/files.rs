//! Where a sink puts the recording of each connection. Makes no file.

use std::path::{Path, PathBuf};

use tapedeck_sdk::kinds::terminal::is_single;
use tapedeck_sdk::{Context, StreamSchema};

use super::names::{Names, safe_name};

/// The names of the files of a stream's connections: one file for a stream that has one connection only, else one a connection, in a
/// folder. No two are the same, and none leads out of the folder, whatever a connection is called.
#[derive(Debug)]
pub struct Files {
    /// The file of the only connection, or the folder.
    path: PathBuf,
    single: bool,
    extension: &'static str,
    names: Names,
}

impl Files {
    /// Files for one of a sink's `inputs`, inside the session folder: at `path` if its options name one, else at its id; of several inputs each
    /// has a folder. `extension` has no dot.
    #[must_use]
    pub fn new(
        schema: &StreamSchema,
        inputs: usize,
        path: Option<&Path>,
        context: &Context,
        extension: &'static str,
    ) -> Self {
        let path = path.unwrap_or(Path::new(&context.id));
        let path = if inputs == 1 { path.to_owned() } else { path.join(schema.name()) };
        Self { path, single: is_single(schema), extension, names: Names::default() }
    }

    /// Whether all goes into one file.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The name for a connection that begins now, without the extension; with a number if an earlier one had it.
    pub fn stem(&mut self, connection: &str) -> PathBuf {
        let wanted = if !self.single {
            self.path.join(safe_name(connection))
        } else if self.path.extension().is_some_and(|extension| extension == self.extension) {
            self.path.with_extension("")
        } else {
            self.path.clone()
        };
        PathBuf::from(self.names.unique(&wanted.to_string_lossy()))
    }
}
