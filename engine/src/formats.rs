//! Which format a file or folder is of. The one place that decides it: by the plugin that a manifest names, else by what is in it, else
//! by its name. `inspect`, `recover`, `convert`, `play`, `at` and `replay` all ask here.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tapedeck_sdk::{Error, Format, HEAD_BYTES};

use crate::reading;
use crate::registry::Registry;

/// The format of a file or folder. `plugin` is the sink that a manifest names for it.
///
/// # Errors
/// There is nothing at the path, it is no regular file and no folder, or nobody reads such files.
pub fn format_of(registry: &Registry, path: &Path, plugin: Option<&str>) -> Result<Arc<dyn Format>, Error> {
    let found = path.metadata().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::environment(format!("there is no such file or folder: {}", path.display()))
        }
        _ => Error::io("look at the recording", path, &error),
    })?;
    if !found.is_file() && !found.is_dir() {
        return Err(Error::environment(format!("not a regular file and not a folder: {}", path.display())));
    }
    if let Some(format) = plugin.and_then(|plugin| registry.formats().find(|format| format.name() == plugin))
    {
        return Ok(format.clone());
    }
    let head = if found.is_file() { head(path)? } else { Vec::new() };
    let by_content = || registry.formats().find(|format| reading::matches(format.as_ref(), &head, path));
    let by_name = || registry.format_of_name(path);
    let format = by_content().or_else(|| by_name().filter(|_| found.is_file()));
    format.cloned().ok_or_else(|| unknown(registry, path))
}

/// The first bytes of a file.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let file = std::fs::File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
    let read = file.take(HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(|error| Error::io("read the recording", path, &error))?;
    Ok(head)
}

fn unknown(registry: &Registry, path: &Path) -> Error {
    let known: Vec<&str> = registry.formats().map(|format| format.name()).collect();
    let what = if path.is_dir() { "folder" } else { "file" };
    Error::data(format!("the {what} is of no known format: {}", path.display()))
        .with_hint(format!("known formats: {}", known.join(", ")))
}
