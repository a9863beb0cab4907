//! Recordings of streams of kind `terminal`, one for each connection: which file it is kept in, and what its failure costs. Knows no
//! file format.

mod files;
mod names;
mod recordings;
mod size;

pub use files::Files;
pub use names::safe_name;
pub use recordings::{Recording, Recordings, Taken};
pub use size::size_of_options;
