//! Asks plugin files questions in a process of their own: one that crashes or hangs is a message, not the end of this program.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tapedeck_sdk::{Descriptor, Error};

use super::Doors;

/// How long a plugin may take to say what it is.
const DESCRIBE_MAX: Duration = Duration::from_secs(20);
/// How often the other process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What a question came to, as the other process writes it down.
#[derive(Serialize, Deserialize)]
pub(crate) enum Outcome<T> {
    /// The answer.
    Answer(T),
    /// There is none.
    Refused(Error),
}

/// Asks for a descriptor.
pub(super) fn describe_apart(path: &Path) -> Result<Descriptor, Error> {
    run_apart(path, &["plugins", "probe"], DESCRIBE_MAX)
}

/// Calls this program with `arguments` and the path, and reads what it writes to its standard output.
pub(crate) fn run_apart<T: DeserializeOwned>(
    path: &Path,
    arguments: &[&str],
    allowed: Duration,
) -> Result<T, Error> {
    let failed = |error: std::io::Error| {
        Error::environment(format!("can't look at a plugin: {error}: {}", path.display()))
    };
    let (file, answer) = Answer::new().map_err(failed)?;
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(arguments)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let Some(status) = wait(&mut child, allowed).map_err(failed)? else {
        let message = format!("the plugin did not come back within {allowed:?}: {}", path.display());
        return Err(Error::plugin(message).with_hint("it is not used; report it to its author"));
    };
    let text = std::fs::read(&answer.0).map_err(failed)?;
    match serde_json::from_slice(&text) {
        Ok(Outcome::Answer(answer)) => Ok(answer),
        Ok(Outcome::Refused(error)) => Err(error),
        Err(_) => Err(crashed(path, status)),
    }
}

fn crashed(path: &Path, status: ExitStatus) -> Error {
    let how = match status.signal() {
        Some(signal) => format!("by signal {signal}{}", signal_name(signal)),
        None => format!("with exit code {}", status.code().unwrap_or(-1)),
    };
    Error::plugin(format!("the plugin ended the process that looked at it, {how}: {}", path.display()))
        .with_hint("it is not used; report it to its author")
}

fn signal_name(signal: i32) -> &'static str {
    use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV};
    match signal {
        SIGABRT => " (SIGABRT: it aborted)",
        SIGBUS => " (SIGBUS: bad memory access)",
        SIGFPE => " (SIGFPE: bad arithmetic)",
        SIGILL => " (SIGILL: bad instruction)",
        SIGKILL => " (SIGKILL)",
        SIGSEGV => " (SIGSEGV: bad memory access)",
        _ => "",
    }
}

/// Waits for the child; one that takes too long is killed.
fn wait(child: &mut Child, allowed: Duration) -> std::io::Result<Option<ExitStatus>> {
    for _ in 0..allowed.as_millis() / LOOK.as_millis() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// The file that the other process writes its answer to; removed when dropped. A pipe could be full before it is read.
struct Answer(PathBuf);

impl Answer {
    fn new() -> std::io::Result<(File, Self)> {
        let folder = std::env::temp_dir();
        for count in 0.. {
            let path = folder.join(format!("tapedeck-{}-{count}.json", std::process::id()));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Self(path))),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("there are endless names")
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // It lies in the folder for such files.
        drop(std::fs::remove_file(&self.0));
    }
}

/// The other process: `tapedeck plugins probe`.
pub(crate) fn probe_here(path: &Path) -> Outcome<Descriptor> {
    let doors = Doors::new(&[]);
    let loaded = match super::Door::of(path) {
        Some(super::Door::Dynamic) => tapedeck_dynamic::load(path),
        _ => doors.load_wasm(path),
    };
    match loaded {
        Ok(factory) => Outcome::Answer(factory.descriptor().clone()),
        Err(error) => Outcome::Refused(error),
    }
}
