//! What streams are called: after their stage, so that `inputs` can name them. Knows no plugin.

use std::collections::HashSet;
use std::sync::Arc;

use tapedeck_sdk::{Error, StreamSchema};

/// What an input calls a stream of the stage `id`. A recorded stream keeps its name, whatever the source is called.
pub(crate) fn part<'n>(id: &str, recorded: bool, name: &'n str) -> &'n str {
    let part = if recorded { name } else { name.strip_prefix(id).unwrap_or_default() };
    part.strip_prefix('.').unwrap_or(part)
}

/// Streams are named after their stage, so that `inputs` can name them.
pub(crate) fn check_names(id: &str, outputs: &[Arc<StreamSchema>]) -> Result<(), Error> {
    let mut known = HashSet::new();
    for schema in outputs {
        let name = schema.name();
        let ours = name == id || name.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
        if !ours || !known.insert(name) {
            return Err(Error::plugin(format!(
                "\"{id}\" gives a stream called \"{name}\", not \"{id}\" or \"{id}.…\""
            )));
        }
    }
    Ok(())
}
