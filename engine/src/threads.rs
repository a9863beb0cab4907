//! The only file that starts threads.

use std::thread::{Builder, JoinHandle};

/// Starts a thread of the engine. Its name (at most 15 bytes are kept by the kernel) is what `top -H` shows.
///
/// # Errors
/// The system refuses another thread.
#[expect(clippy::disallowed_methods, reason = "this is the place that the rule sends everybody to")]
pub fn start<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    Builder::new().name(name.chars().take(15).collect()).spawn(run)
}
