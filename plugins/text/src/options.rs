//! The sink's options.

use std::path::PathBuf;

use tapedeck_kit::terminal::size_of_options;
use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;

/// Options of the `text` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextOptions {
    /// The file, or for streams with several connections the folder, inside the session folder. Default: the sink's id.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// Columns of a terminal that does not say how large it is.
    #[serde(default = "columns")]
    pub(crate) width: u16,
    /// Rows of a terminal that does not say how large it is.
    #[serde(default = "rows")]
    pub(crate) height: u16,
}

const fn columns() -> u16 {
    80
}

const fn rows() -> u16 {
    24
}

impl TextOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        size_of_options(self.width, self.height).map(drop)
    }

    pub(crate) fn size(&self) -> Size {
        Size { columns: self.width, rows: self.height }
    }
}
