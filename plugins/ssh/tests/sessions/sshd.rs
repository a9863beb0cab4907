//! OpenSSH's server on a port of its own, as the upstream host. Does not know the tests.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{FakeEngine, Gateway, folder, make_key};

const PROGRAM: &str = "/usr/sbin/sshd";

/// How often to try to connect, and the pause between: 20 s in all.
const CONNECT_ATTEMPTS_MAX: usize = 1000;
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A running server. The key `gate` logs in.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The user of the tests: the only one that an unprivileged server can let in.
pub(crate) fn me() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    /// Starts one with its keys in this folder, made if absent.
    pub(crate) fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(folder, port)
    }

    /// Starts one at this port.
    pub(crate) fn start_at(folder: &Path, port: u16) -> Self {
        assert!(
            Path::new(PROGRAM).is_file(),
            "these tests need OpenSSH's server: tools/install.sh openssh-server"
        );
        // A server that runs as root needs it, and can make it.
        drop(std::fs::create_dir_all("/run/sshd"));
        for key in ["upstream_host_key", "gate"] {
            if !folder.join(key).exists() {
                make_key(folder, key);
            }
        }
        let at = |name: &str| folder.join(name).display().to_string();
        // At this depth a shell that `sshd` starts reads no start-up files of the user's.
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nAcceptEnv LC_*\nPrintMotd no\nPrintLastLog no\n\
             Subsystem sftp internal-sftp\nMaxStartups 100\nSetEnv SHLVL=2\n",
            at("upstream_host_key"),
            at("gate.pub"),
        );
        std::fs::write(folder.join("sshd_config"), config).unwrap();
        let log = std::fs::File::create(folder.join("sshd_log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        for _attempt in 0..CONNECT_ATTEMPTS_MAX {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Self { child, port };
            }
            assert!(child.try_wait().unwrap().is_none(), "sshd has ended: {}", log_of(folder));
            _ = rustix::thread::nanosleep(&CONNECT_PAUSE.try_into().unwrap());
        }
        panic!("sshd does not listen: {}", log_of(folder));
    }

    /// A `known_hosts` line with this server and this key.
    pub(crate) fn known(&self, key: &Path) -> String {
        let key = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("sshd_log")).unwrap_or_default()
}

/// The gateway's upstream options for a server with a known key.
pub(crate) fn options(folder: &Path, sshd: &Sshd) -> Value {
    let known_hosts = folder.join("upstream_known_hosts");
    std::fs::write(&known_hosts, sshd.known(&folder.join("upstream_host_key"))).unwrap();
    let address = format!("127.0.0.1:{}", sshd.port);
    json!({ "address": address, "user": me(), "key": folder.join("gate"), "known_hosts": known_hosts })
}

/// A gateway in front of a server of its own.
pub(crate) struct Proxy {
    // Dropped first.
    pub(crate) gateway: Gateway,
    pub(crate) sshd: Sshd,
}

impl Proxy {
    pub(crate) fn new(more: Value) -> Self {
        Self::with_host(more, std::sync::Arc::default())
    }

    pub(crate) fn with_host(more: Value, host: std::sync::Arc<FakeEngine>) -> Self {
        let folder: TempDir = folder();
        let sshd = Sshd::start(folder.path());
        let mut all = more;
        all["upstream"] = options(folder.path(), &sshd);
        Self { gateway: Gateway::with_host(folder, all, host), sshd }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.gateway.folder.path().join(name)
    }
}
