//! Recording

pub(crate) mod durability;
pub(crate) mod facts;
pub(crate) mod recorder;
