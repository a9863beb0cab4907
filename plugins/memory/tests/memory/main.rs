//! Records the example game and compares with what it truly did. Map:
//!
//! - `truth`: rows are true frames, whatever way the variables are found
//! - `life`: targets that start late, break their pointers, exit, come back
//! - `targets`: targets that are not what one assumes
//! - `refusals`: what is wrong is said clearly
//! - `support`: the vocabulary
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod life;
mod refusals;
mod support;
mod targets;
mod truth;
#[path = "../../examples/arcade/values.rs"]
mod values;
