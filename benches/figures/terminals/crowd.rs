//! Fifty people at once, each with 1 MB/s of output in a terminal over SSH: through the recording gateway, and through `sshd` in the same
//! run. Every process is on this one machine: clients, writers, server, and this reader.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::processes;
use super::server::{Kind, Server, make_keys, recorded};
use super::writer::{DIGITS, now_us};
use crate::Figure;
use crate::engine::{folder, to_f64};

const SESSIONS: u64 = 50;
const SECONDS: u64 = 30;

/// Time for everybody to log in before the first byte is written.
const LOGIN_SECONDS: u64 = 10;

/// What OpenSSH takes by itself.
const CIPHER: &str = "chacha20-poly1305@openssh.com";

/// One client, and when its output came.
struct Client {
    child: Child,
    output: ChildStdout,
    bytes: u64,
    /// The beginning of a line that is not whole yet.
    held: Vec<u8>,
    /// When the last piece was written, and how late it came.
    last: (u64, u64),
    /// The longest wait for a piece beyond the time that its writer took, and the longest way of one, in us.
    stall: u64,
    late: u64,
}

impl Client {
    /// Takes what is there. False at the end.
    fn take(&mut self, buffer: &mut [u8]) -> bool {
        let count = self.output.read(buffer).unwrap_or(0);
        let now = now_us();
        self.bytes += count as u64;
        let mut rest = &buffer[..count];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.held.extend_from_slice(&rest[..end.min(DIGITS)]);
            rest = &rest[end + 1..];
            let written = self.held.get(..DIGITS).and_then(|digits| str::from_utf8(digits).ok());
            let written: Option<u64> = written.and_then(|digits| digits.parse().ok());
            // A login may have something to say before the writer runs.
            let Some(written) = written.or((self.last.0 == 0).then_some(0)) else {
                panic!("no line of a writer: {:?}", String::from_utf8_lossy(&buffer[..count]));
            };
            self.held.clear();
            if written != self.last.0 {
                self.piece(written, now);
            }
        }
        let room = DIGITS.saturating_sub(self.held.len());
        self.held.extend_from_slice(&rest[..rest.len().min(room)]);
        count > 0
    }

    fn piece(&mut self, written: u64, now: u64) {
        let late = now.saturating_sub(written);
        if self.last.0 > 0 {
            self.stall = self.stall.max(late.saturating_sub(self.last.1));
        }
        self.late = self.late.max(late);
        self.last = (written, late);
    }
}

/// What a moment of the run looked like.
struct Look {
    resident: u64,
    cpu: HashMap<String, f64>,
}

/// What came of fifty sessions.
struct Crowd {
    bytes: u64,
    stall_ms: f64,
    late_ms: f64,
    /// Memory of the server's process 5 s after the beginning and at the end.
    resident: [u64; 2],
    /// Share of a core of each kind of process.
    cpu: String,
    /// The last piece of all, in seconds after it was due.
    overrun: f64,
    code: Option<i32>,
    said: String,
}

fn start(server: &Server, start_us: u64) -> Vec<Client> {
    let program = std::env::current_exe().expect("we are a program");
    let clients = (0..SESSIONS).map(|number| {
        // Nobody's piece is due at the same moment as another one's.
        let begin = start_us + number * 10_000 / SESSIONS;
        let command = format!("exec {} paced-writer {begin} {SECONDS}", program.display());
        let mut client = server.client(CIPHER, &["-tt"], &command);
        let mut child =
            client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("run `make ssh` once");
        let output = child.stdout.take().expect("it was asked for");
        Client { child, output, bytes: 0, held: Vec::new(), last: (0, 0), stall: 0, late: 0 }
    });
    clients.collect()
}

fn run(kind: Kind, folder: &Path) -> Crowd {
    let server = Server::start(kind, folder);
    let start_us = now_us() + LOGIN_SECONDS * 1_000_000;
    let mut clients = start(&server, start_us);
    let mut open: Vec<usize> = (0..clients.len()).collect();
    let mut moments = [5, SECONDS - 1].map(|second| start_us + second * 1_000_000).into_iter().peekable();
    let mut looks = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    while !open.is_empty() {
        if moments.next_if(|&moment| now_us() >= moment).is_some() {
            looks.push(Look {
                resident: processes::resident(server.pid()),
                cpu: processes::cpu_of_descendants(),
            });
        }
        let mut fds: Vec<_> =
            open.iter().map(|&index| PollFd::new(&clients[index].output, PollFlags::IN)).collect();
        let time = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // An interrupted wait is begun again.
        if poll(&mut fds, Some(&time)).is_err() {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        open.retain(|&index| !ready.next().unwrap_or(false) || clients[index].take(&mut buffer));
    }
    let overrun = to_f64(now_us().saturating_sub(start_us + SECONDS * 1_000_000)) / 1e6;
    for client in &mut clients {
        let status = client.child.wait().expect("it has ended");
        assert!(status.success(), "a client ended with {status}");
    }
    // The server tells when the last one is over.
    std::thread::park_timeout(Duration::from_secs(1));
    let (code, said) = server.stop();
    let longest = |of: fn(&Client) -> u64| to_f64(clients.iter().map(of).max().unwrap_or(0)) / 1e3;
    Crowd {
        bytes: clients.iter().map(|client| client.bytes).sum(),
        stall_ms: longest(|client| client.stall),
        late_ms: longest(|client| client.late),
        resident: [looks[0].resident, looks[1].resident],
        cpu: cpu(&looks),
        overrun,
        code,
        said,
    }
}

/// Shares of a core between the two looks.
fn cpu(looks: &[Look]) -> String {
    let seconds = to_f64(SECONDS - 6);
    let mut shares: Vec<(f64, &String)> = looks[1]
        .cpu
        .iter()
        .map(|(name, &after)| ((after - looks[0].cpu.get(name).unwrap_or(&0.0)) / seconds * 100.0, name))
        .filter(|(share, _)| *share >= 1.0)
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shares: Vec<String> = shares.iter().map(|(share, name)| format!("{name} {share:.0} %")).collect();
    shares.join(", ")
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    make_keys(folder.path());
    let load = processes::load();
    let sshd = run(Kind::Sshd, folder.path());
    let ours = run(Kind::Gateway, folder.path());
    let (told, held) = recorded(folder.path());
    let megabytes = |bytes: u64| to_f64(bytes) / 1e6;
    let manifest = std::fs::read_to_string(folder.path().join("out/s/session.json")).expect("there is one");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("it is JSON");
    let lost = ["dropped", "failed"].map(|name| manifest["loss"][name].as_u64().unwrap_or(u64::MAX));
    let wanted = SESSIONS * SECONDS * 1_000_000;
    let whole = told == ours.bytes && held == ours.bytes && ours.bytes >= wanted && lost == [0; 2];
    let (first, last) = (megabytes(ours.resident[0]), megabytes(ours.resident[1]));
    vec![
        Figure::new(
            format!("{SESSIONS} SSH sessions, 1 MB/s each, {SECONDS} s, {CIPHER} (load before {load})"),
            format!(
                "{:.1} MB came, {:.1} MB by the sidecars, {:.1} MB in the recordings, {} dropped, {} failed, exit code {:?}{}",
                megabytes(ours.bytes),
                megabytes(told),
                megabytes(held),
                lost[0],
                lost[1],
                ours.code,
                ours.said
            ),
            "all the same, none lost",
            whole && ours.code == Some(0),
        ),
        Figure::new(
            "  longest stall of a session",
            format!(
                "{:.0} ms, longest way of a byte {:.0} ms (sshd: {:.0} ms, {:.0} ms)",
                ours.stall_ms, ours.late_ms, sshd.stall_ms, sshd.late_ms
            ),
            "<= 100 ms",
            ours.stall_ms <= 100.0,
        ),
        Figure::new(
            "  memory at 5 s and at the end",
            format!("{first:.0} MB, {last:.0} MB"),
            "flat (<= 1.1 x)",
            last <= first * 1.1,
        ),
        Figure::new(
            "  share of a core, of two",
            format!(
                "recorded: {}; ended {:.1} s late. sshd: {}; ended {:.1} s late",
                ours.cpu, ours.overrun, sshd.cpu, sshd.overrun
            ),
            "no limit",
            true,
        ),
    ]
}
