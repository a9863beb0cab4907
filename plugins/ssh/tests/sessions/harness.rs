//! The vocabulary: a gateway on a port of its own, OpenSSH's client with its own keys, recorded
//! frames. Does not know the tests.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::{Follower, Opener, Watermark, testing::FakeHost};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long one poll for frames takes.
const POLL_TIME: Duration = Duration::from_millis(20);

/// A host with a running clock, which the network needs.
#[derive(Default)]
pub(crate) struct FakeEngine {
    /// How far the clock that stamps frames is ahead, in nanoseconds.
    pub(crate) ahead: AtomicI64,
    warnings: Mutex<Vec<String>>,
    /// Frames the source failed to hand over.
    failed: AtomicU64,
    /// `None`: no watermark is reported.
    followers: Option<Mutex<Vec<Follower>>>,
}

impl FakeEngine {
    /// One that reports a watermark.
    pub(crate) fn followed() -> Arc<Self> {
        Arc::new(Self { followers: Some(Mutex::default()), ..Self::default() })
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Reports this watermark.
    pub(crate) fn reach(&self, mark: Watermark) {
        let mut followers = self.followers.as_ref().unwrap().lock().unwrap();
        assert_eq!(followers.len(), 1, "the source follows its recording, once");
        followers.iter_mut().for_each(|follower| follower(mark));
    }
}

impl Host for FakeEngine {
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp(now.tv_sec * 1_000_000_000 + now.tv_nsec + self.ahead.load(Ordering::Relaxed))
    }

    fn failed(&self, frames: u64) {
        self.failed.fetch_add(frames, Ordering::Relaxed);
    }

    fn partial(&self, frames: u64) {
        panic!("{frames} frames of a terminal with a value missing");
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }

    fn artifact(&self, name: &Path, _role: Role) -> Result<PathBuf, Error> {
        panic!("a source makes no artifacts: {}", name.display());
    }

    fn loss(&self, _stream: &str) -> Loss {
        Loss::default()
    }

    fn follow(&self, output: usize, mut follower: Follower) -> Result<(), Error> {
        assert_eq!(output, 0);
        let followers = self.followers.as_ref().ok_or_else(|| Error::environment("it can't be followed"))?;
        follower(Watermark::default());
        followers.lock().unwrap().push(follower);
        Ok(())
    }
}

/// A recorded frame: connection, code, data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) connection: String,
    pub(crate) code: String,
    pub(crate) data: Vec<u8>,
}

/// The server, its folder with keys, and its frames.
pub(crate) struct Gateway {
    pub(crate) folder: TempDir,
    pub(crate) source: Box<dyn Source>,
    pub(crate) host: Arc<FakeEngine>,
    pub(crate) port: String,
    pub(crate) frames: Vec<Frame>,
    /// Whether every frame taken is durable at once.
    pub(crate) flushes: bool,
}

/// One of OpenSSH's client programs.
pub(crate) fn tool(name: &str) -> Command {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    assert!(found, "these tests need OpenSSH's client: tools/install.sh openssh-client");
    Command::new(name)
}

/// Makes a key pair without a passphrase.
pub(crate) fn make_key(folder: &Path, name: &str) {
    let mut command = tool("ssh-keygen");
    let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status().unwrap();
    assert!(made.success());
}

/// A folder with the key `alice`, authorized.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    make_key(folder.path(), "alice");
    std::fs::copy(folder.path().join("alice.pub"), folder.path().join("authorized_keys")).unwrap();
    folder
}

/// Opens the source with these options and the ones that every server needs.
pub(crate) fn open(folder: &Path, options: Value, host: Arc<FakeEngine>) -> Result<Box<dyn Source>, Error> {
    let mut all = json!({ "listen": "127.0.0.1:0", "host_key": folder.join("host_key") });
    if options.get("passwords").is_none() {
        all["authorized_keys"] = json!(folder.join("authorized_keys"));
    }
    for (key, value) in options.as_object().unwrap() {
        all[key] = value.clone();
    }
    let factory = tapedeck_ssh::factory();
    let Opener::Source(open) = factory.opener() else { panic!("a source") };
    let context = FakeHost::new(folder).context("gate");
    open(&all, Context { rate_hz: None, host, ..context })
}

/// A `command` that runs what the client asks for, without start-up files of the user's.
pub(crate) fn plain() -> Value {
    json!(["/bin/sh", "-c", "eval \"$SSH_ORIGINAL_COMMAND\""])
}

pub(crate) fn engine() -> Arc<FakeEngine> {
    Arc::default()
}

impl Gateway {
    pub(crate) fn new(options: Value) -> Self {
        Self::in_folder(folder(), options)
    }

    /// One in strict mode.
    pub(crate) fn strict(mut options: Value) -> Self {
        options["on_record_failure"] = json!("close");
        options["command"] = plain();
        Self::with_host(folder(), options, FakeEngine::followed())
    }

    pub(crate) fn in_folder(folder: TempDir, options: Value) -> Self {
        Self::with_host(folder, options, engine())
    }

    pub(crate) fn with_host(folder: TempDir, options: Value, host: Arc<FakeEngine>) -> Self {
        let source = open(folder.path(), options, host.clone()).unwrap();
        let warnings = host.warnings.lock().unwrap();
        let chose = warnings.iter().find(|text| text.contains("the system chose")).unwrap();
        let port = chose.rsplit(':').next().unwrap().to_owned();
        drop(warnings);
        Self { folder, source, host, port, frames: Vec::new(), flushes: false }
    }

    /// Reports every frame taken as durable, but for a loss before this number.
    pub(crate) fn reach(&self, lost: u64) {
        let taken = self.frames.len() as u64;
        self.host.reach(Watermark { written: taken, flushed: taken, lost });
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.host.warnings()
    }

    /// OpenSSH's client, logging in as `user` with alice's key.
    pub(crate) fn ssh(&self, user: &str) -> Command {
        self.ssh_with(user, &["-o", "BatchMode=yes"], "alice")
    }

    pub(crate) fn ssh_with(&self, user: &str, options: &[&str], key: &str) -> Command {
        let mut command = tool("ssh");
        self.common(&mut command, key);
        command.args(["-p", &self.port, "-l", user]).args(options).arg("127.0.0.1");
        command
    }

    /// Options of every OpenSSH client.
    pub(crate) fn common(&self, command: &mut Command, key: &str) {
        command.args(["-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", "IdentitiesOnly=yes"]);
        let known = self.folder.path().join("known_hosts");
        command.args(["-o", "LogLevel=ERROR", "-o"]).arg(format!("UserKnownHostsFile={}", known.display()));
        command.arg("-i").arg(self.folder.path().join(key));
        command.env_remove("SSH_AUTH_SOCK").env("TERM", "xterm").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Takes frames for a moment. True if there were any.
    pub(crate) fn poll(&mut self) -> bool {
        self.take().expect("a server does not end by itself")
    }

    /// Ends the recording and takes the remaining frames.
    pub(crate) fn stop(&mut self) {
        assert!(self.source.stop().unwrap());
        let end = self.host.now() + PATIENCE;
        while self.take().is_some() {
            assert!(self.host.now() < end, "there is no end: {:?}", self.summary());
        }
    }

    fn take(&mut self) -> Option<bool> {
        match self.source.next(self.host.now() + POLL_TIME).unwrap() {
            Next::Batch { batch, .. } => {
                let text = |column: usize, row| batch.column(column).str_at(row).to_owned();
                self.frames.extend((0..batch.rows()).map(|row| Frame {
                    connection: text(0, row),
                    code: text(1, row),
                    data: batch.column(2).bytes_at(row).to_vec(),
                }));
                if self.flushes {
                    self.reach(0);
                }
            }
            Next::Idle => return Some(false),
            Next::End => return None,
        }
        Some(true)
    }

    /// Waits for a condition without taking frames.
    pub(crate) fn without_polling_until(&self, what: &str, so: impl Fn() -> bool) {
        let end = self.host.now() + PATIENCE;
        while !so() {
            assert!(self.host.now() < end, "{what} did not come");
            _ = rustix::thread::nanosleep(&POLL_TIME.try_into().unwrap());
        }
    }

    /// Takes frames until the condition holds.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = self.host.now() + PATIENCE;
        while !so(self) {
            assert!(self.host.now() < end, "{what} did not come: {:?}", self.summary());
            self.poll();
        }
    }

    /// Takes frames until the client has ended and its frames are all there.
    pub(crate) fn status(&mut self, client: &mut Child) -> ExitStatus {
        let end = self.host.now() + PATIENCE;
        let status = loop {
            assert!(self.host.now() < end, "the client did not end: {:?}", self.summary());
            self.poll();
            if let Some(status) = client.try_wait().unwrap() {
                break status;
            }
        };
        while self.poll() {}
        status
    }

    /// Runs a client to its end. Its output must fit a pipe.
    pub(crate) fn run(&mut self, command: &mut Command) -> Output {
        let mut client = command.spawn().unwrap();
        self.status(&mut client);
        client.wait_with_output().unwrap()
    }

    pub(crate) fn data(&self, connection: &str, code: &str) -> Vec<u8> {
        let of = |frame: &&Frame| frame.connection == connection && frame.code == code;
        self.frames.iter().filter(of).flat_map(|frame| frame.data.clone()).collect()
    }

    pub(crate) fn text(&self, connection: &str, code: &str) -> String {
        String::from_utf8(self.data(connection, code)).unwrap()
    }

    pub(crate) fn codes(&self, connection: &str) -> String {
        let of = |frame: &&Frame| frame.connection == connection;
        self.frames.iter().filter(of).map(|frame| frame.code.as_str()).collect()
    }

    /// Frames of this code. The trace of a login has none: a machine that is slow may leave one of a login with a session, too.
    pub(crate) fn count(&self, code: &str) -> usize {
        let of = |frame: &&Frame| frame.code == code && !frame.connection.ends_with("-login");
        self.frames.iter().filter(of).count()
    }

    /// Names of all connections: their sessions, or the trace of a login without one.
    pub(crate) fn connections(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.frames.iter().map(|frame| frame.connection.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let all = names.clone();
        let has_session = |login: &str| {
            all.iter().any(|name| *name == login || name.strip_prefix(login).is_some_and(is_channel))
        };
        names.retain(|name| !name.strip_suffix("-login").is_some_and(has_session));
        names
    }

    /// All facts of a recording; later ones replace earlier ones.
    pub(crate) fn facts(&self, connection: &str) -> Value {
        let text = self.text(connection, "c");
        let all = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Map<String, Value>>();
        Value::Object(all.flat_map(Result::unwrap).collect())
    }

    /// Waits for a whole recording and returns its facts.
    pub(crate) fn ended(&mut self, connection: &str) -> Value {
        self.until("the end of a recording", |gateway| gateway.codes(connection).ends_with('x'));
        self.facts(connection)
    }

    /// The facts of a login without a session.
    pub(crate) fn login_trace(&mut self, connection: &str) -> Value {
        self.ended(&format!("{connection}-login"))
    }

    fn summary(&self) -> Vec<(String, String)> {
        let short = |frame: &Frame| {
            let data = &frame.data[..frame.data.len().min(200)];
            (frame.code.clone(), String::from_utf8_lossy(data).into_owned())
        };
        self.frames.iter().rev().take(20).rev().map(short).collect()
    }
}

/// Whether it is the number of a later channel in a recording's name.
fn is_channel(end: &str) -> bool {
    end.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Whether a process runs; zombies don't.
pub(crate) fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}
