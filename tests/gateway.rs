//! The vocabulary of the tests over SSH: the shipped gateway on a port of its own, the real client, and what is in the recordings. Knows
//! nothing of what is tested.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::util::{Dir, root, wait_until};

/// The shipped pipeline while it runs, with its sessions in `<directory>/s/sessions` of the test's folder.
pub(crate) struct Gateway<'a> {
    dir: &'a Dir,
    pub(crate) child: Child,
    port: u16,
}

/// What a recording and its sidecar say.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) cast: PathBuf,
    pub(crate) events: Vec<(f64, String, String)>,
    pub(crate) facts: Value,
}

impl Recorded {
    /// All data of the events with this code.
    pub(crate) fn data(&self, code: &str) -> String {
        self.events.iter().filter(|event| event.1 == code).map(|event| event.2.as_str()).collect()
    }
}

/// Makes the source end what can't be recorded.
const STRICT: &str = "on_record_failure = \"close\"";

/// The program's arguments for a gateway on this port, with more lines in the pipeline's parts of the session and the source. A key that
/// gets in is made first, if there is none yet.
fn call(dir: &Dir, directory: &str, [session, source]: [&str; 2], port: u16) -> Vec<String> {
    let key = dir.path("key");
    if !key.exists() {
        let mut keygen = Command::new("ssh-keygen");
        let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.expect("openssh-client is needed: `make ssh` installs it").success());
    }
    let text = std::fs::read_to_string(root().join("pipelines/ssh-gateway.toml")).unwrap();
    let text = text.replacen("[session]", &format!("[session]\n{session}"), 1);
    dir.write("p.toml", &text.replacen("[sources.gateway]", &format!("[sources.gateway]\n{source}"), 1));
    let mut call =
        ["run", "p.toml", "--directory", directory, "--session", "s", "--quiet"].map(str::to_owned).to_vec();
    for setting in [
        format!("LISTEN=127.0.0.1:{port}"),
        format!("AUTHORIZED_KEYS={}", dir.path("key.pub").display()),
        format!("HOST_KEY={}", dir.path("host_key").display()),
    ] {
        call.extend(["--set".to_owned(), setting]);
    }
    call
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl<'a> Gateway<'a> {
    /// Starts it in the test's folder, recording into `out`. `session` are lines for the pipeline's part of that name.
    pub(crate) fn start(dir: &'a Dir, session: &str) -> Self {
        Self::start_with(dir, [session, ""])
    }

    /// The same with all output taken for text.
    pub(crate) fn start_as_text(dir: &'a Dir) -> Self {
        Self::start_with(dir, ["", "transfers = \"text\""])
    }

    /// The same in strict mode.
    pub(crate) fn start_strict(dir: &'a Dir, session: &str) -> Self {
        Self::start_with(dir, [session, STRICT])
    }

    fn start_with(dir: &'a Dir, lines: [&str; 2]) -> Self {
        let port = free_port();
        let call = call(dir, "out", lines, port);
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        Self::listening(dir, dir.tapedeck(&call).spawn(), port)
    }

    /// Starts it with a small file system of its own at `disk/`, recording into it. `prepare` is a piece of script that runs there first.
    pub(crate) fn on_small_disk(dir: &'a Dir, size: &str, prepare: &str) -> Self {
        Self::on_small_disk_with(dir, size, prepare, "")
    }

    /// The same in strict mode.
    pub(crate) fn strict_on_small_disk(dir: &'a Dir, size: &str, prepare: &str) -> Self {
        Self::on_small_disk_with(dir, size, prepare, STRICT)
    }

    fn on_small_disk_with(dir: &'a Dir, size: &str, prepare: &str, source: &str) -> Self {
        let port = free_port();
        let call = call(dir, "disk", ["", source], port);
        // Behind an `&` it would have no input, which a gateway does not need, and its number is known.
        let run = format!("{prepare}; \"$TAPEDECK\" \"$@\" & echo $! > pid; wait $! || code=$?");
        let child = small_disk(dir, size, &run).args(call).stdout(Stdio::null()).spawn().unwrap();
        Self::listening(dir, child, port)
    }

    fn listening(dir: &'a Dir, mut child: Child, port: u16) -> Self {
        wait_until("the gateway listens", || {
            assert!(child.try_wait().unwrap().is_none(), "the gateway has ended");
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { dir, child, port }
    }

    /// The real client, on its way in as this user.
    pub(crate) fn ssh(&self, user: &str, options: &[&str], command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        let call = self.call(user, options, command);
        ssh.args(call).env_remove("SSH_AUTH_SOCK").env("TERM", "xterm").stdin(Stdio::null());
        ssh
    }

    /// The client's arguments.
    pub(crate) fn call(&self, user: &str, options: &[&str], command: &str) -> Vec<String> {
        let (port, key) = (self.port.to_string(), self.dir.path("key").display().to_string());
        let mut call = vec!["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"];
        call.extend([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        call.extend(["-p", &port, "-i", &key, "-l", user]);
        call.extend(options);
        call.extend(["127.0.0.1", command]);
        call.into_iter().map(str::to_owned).collect()
    }

    /// Stops it as its user would. Returns the exit code. What was on a small disk is in `kept/` then.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let pid = self.grandchild().unwrap_or_else(|| rustix::process::Pid::from_child(&self.child));
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// The gateway itself, where it runs inside something else and has not ended.
    fn grandchild(&self) -> Option<rustix::process::Pid> {
        let told = std::fs::read_to_string(self.dir.path("pid")).ok()?;
        rustix::process::Pid::from_raw(told.trim().parse().ok()?)
    }

    /// A path as the gateway sees it, while it runs: its small file system is seen by nobody else.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        let path = std::fs::canonicalize(self.dir.path(".")).unwrap().join(path);
        let seen = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        seen.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        // One that has ended already is as good. One on a small disk is a grandchild.
        if let Some(pid) = self.grandchild() {
            _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// A call of the program with a small file system of its own at `disk/`, which is copied to `kept/` at the end; the program's arguments are
/// to be added. `run` is the script that runs them as `"$TAPEDECK" "$@"` and sets `code`. It needs no root where the system lets users have namespaces.
pub(crate) fn small_disk(dir: &Dir, size: &str, run: &str) -> Command {
    std::fs::create_dir(dir.path("disk")).unwrap();
    let script = format!(
        "set -e; mount -t tmpfs -o size={size} tapedeck disk; code=0\n{run}\ncp -r disk kept; exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]).current_dir(dir.path("."));
    command.env("TAPEDECK", env!("CARGO_BIN_EXE_tapedeck")).stdin(Stdio::null());
    command
}

/// The recording of a user's only session in this folder, if both files are there and each line is whole.
fn look(sessions: &Path, user: &str) -> Option<Recorded> {
    let entries = std::fs::read_dir(sessions).ok()?.map(|entry| entry.unwrap().path());
    let of_user = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains(user);
    let paths: Vec<PathBuf> = entries.filter(of_user).collect();
    let with = |extension: &str| {
        paths.iter().find(|path| path.extension().is_some_and(|found| found == extension)).cloned()
    };
    let text = std::fs::read_to_string(with("cast")?).ok()?;
    let events: Result<_, _> = text.lines().skip(1).map(serde_json::from_str).collect();
    let facts = std::fs::read_to_string(with("json")?).ok()?;
    Some(Recorded { cast: with("cast")?, events: events.ok()?, facts: serde_json::from_str(&facts).ok()? })
}

/// The recording of a user's only session in this folder.
pub(crate) fn recorded(sessions: &Path, user: &str) -> Recorded {
    look(sessions, user).unwrap_or_else(|| panic!("no whole recording of {user} in {}", sessions.display()))
}

/// Waits until a user's recording is like that.
pub(crate) fn wait_for(
    what: &str,
    sessions: &Path,
    user: &str,
    holds: impl Fn(&Recorded) -> bool,
) -> Recorded {
    wait_until(what, || look(sessions, user).is_some_and(|recorded| holds(&recorded)));
    recorded(sessions, user)
}
