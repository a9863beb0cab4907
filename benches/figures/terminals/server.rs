//! Two SSH servers on ports of their own: our gateway, from the pipeline that is shipped, and OpenSSH's `sshd`. Both let the same key in.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SSHD: &str = "/usr/sbin/sshd";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As its pipeline is shipped, which masks secrets.
    Gateway,
    /// The same without masking.
    Plain,
    Sshd,
}

/// A server that listens.
pub(super) struct Server {
    kind: Kind,
    folder: PathBuf,
    child: Child,
    port: u16,
}

/// Makes the key that gets in, and the key of `sshd`.
pub(super) fn make_keys(folder: &Path) {
    for name in ["key", "sshd_key"] {
        let mut command = Command::new("ssh-keygen");
        let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status();
        assert!(made.expect("run `make ssh` once").success());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it listens").port()
}

fn gateway(folder: &Path, port: u16, masks: bool) -> Command {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/ssh-gateway.toml");
    let mut text = std::fs::read_to_string(shipped).expect("the pipeline is there");
    if !masks {
        text = text.replace("inputs = [\"masked\"]", "inputs = [\"gateway\"]");
        let begin = text.find("[transforms.masked]").expect("the pipeline masks");
        let end = text[begin..].find("[sinks.").expect("a sink comes after it") + begin;
        text.replace_range(begin..end, "");
    }
    let pipeline = folder.join("gateway.toml");
    std::fs::write(&pipeline, text).expect("the folder is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
    command.arg("run").arg(pipeline).args(["--directory", "out", "--session", "s", "--quiet"]);
    for setting in [
        format!("LISTEN=127.0.0.1:{port}"),
        format!("AUTHORIZED_KEYS={}", folder.join("key.pub").display()),
        format!("HOST_KEY={}", folder.join("host_key").display()),
    ] {
        command.args(["--set", &setting]);
    }
    command
}

fn sshd(folder: &Path, port: u16) -> Command {
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/sshd_key\nAuthorizedKeysFile {0}/key.pub\nPidFile none\nUsePAM no\n\
         StrictModes no\nMaxStartups 200\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n",
        folder.display()
    );
    std::fs::write(folder.join("sshd_config"), text).expect("the folder can be written");
    if rustix::process::geteuid().is_root() {
        // Where no service manager runs, nobody has made it.
        std::fs::create_dir_all("/run/sshd").expect("root may make folders");
    }
    let mut command = Command::new(SSHD);
    command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
    command
}

impl Server {
    pub(super) fn start(kind: Kind, folder: &Path) -> Self {
        let port = free_port();
        let mut command = match kind {
            Kind::Gateway | Kind::Plain => gateway(folder, port, kind == Kind::Gateway),
            Kind::Sshd => sshd(folder, port),
        };
        let log = std::fs::File::create(folder.join(format!("{kind:?}.log"))).expect("the folder is ours");
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("run `make ssh` once");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                child.try_wait().expect("it is ours").is_none(),
                "{kind:?} has ended: {}",
                said(folder, kind)
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Self { kind, folder: folder.to_owned(), child, port }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The real client, on its way to run a command. Its output goes where the caller says.
    pub(super) fn client(&self, cipher: &str, options: &[&str], command: &str) -> Command {
        let user = Command::new("id").arg("-un").output().expect("every system has `id`").stdout;
        let mut client = Command::new("ssh");
        client.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        client.args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        client.args([
            "-c",
            cipher,
            "-p",
            &self.port.to_string(),
            "-l",
            String::from_utf8_lossy(&user).trim(),
        ]);
        client.arg("-i").arg(self.folder.join("key")).args(options).args(["127.0.0.1", command]);
        client.env_remove("SSH_AUTH_SOCK").env("TERM", "xterm-256color").stdin(Stdio::null());
        client
    }

    /// Ends it in the way its user would. Returns its exit code and what it said.
    pub(super) fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let status = self.child.wait().expect("it ends");
        (status.code(), said(&self.folder, self.kind))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A measurement that breaks off leaves nobody at work. One that has ended is as good.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

fn said(folder: &Path, kind: Kind) -> String {
    std::fs::read_to_string(folder.join(format!("{kind:?}.log"))).unwrap_or_default()
}

/// What the gateway's sidecars say that the clients were sent, and what its recordings hold, in bytes.
pub(super) fn recorded(folder: &Path) -> (u64, u64) {
    let sessions = folder.join("out/s/sessions");
    let (mut told, mut held) = (0, 0);
    for entry in std::fs::read_dir(sessions).expect("there are recordings").flatten() {
        let path = entry.path();
        let text = std::fs::read_to_string(&path).expect("a recording is text");
        if path.extension().is_some_and(|extension| extension == "json") {
            let facts: serde_json::Value = serde_json::from_str(&text).expect("a sidecar is JSON");
            assert_eq!(facts["status"], "complete", "{facts}");
            told += facts["bytes_out"].as_u64().unwrap_or(0);
        } else {
            for line in text.lines().skip(1).filter(|line| line.contains(", \"o\", ")) {
                let event: (f64, String, String) = serde_json::from_str(line).expect("a line is an event");
                held += event.2.len() as u64;
            }
        }
    }
    (told, held)
}
