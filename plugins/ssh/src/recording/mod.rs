//! What is recorded: frames, facts, and how far they are durable.

pub(crate) mod durability;
pub(crate) mod facts;
pub(crate) mod login;
pub(crate) mod recorder;
