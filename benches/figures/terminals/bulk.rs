//! 500 MB of output over SSH as fast as it goes: recorded by the gateway, and from `sshd` without a recording, turn by turn.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use super::server::{Kind, Server, make_keys};
use super::{processes, text};
use crate::engine::{folder, to_f64};
use crate::{Figure, median};

const BYTES: u64 = 500_000_000;
const RUNS: usize = 3;

/// What both have. The first is what OpenSSH takes by itself.
const CIPHERS: [&str; 2] = ["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com"];

/// MB/s of one command, its login included.
fn run(server: &Server, cipher: &str, file: &Path) -> f64 {
    let begin = Instant::now();
    let mut client = server.client(cipher, &[], &format!("exec cat {}", file.display()));
    let status = client.stdout(Stdio::null()).status().expect("run `make ssh` once");
    assert!(status.success(), "the client ended with {status}");
    to_f64(BYTES) / 1e6 / begin.elapsed().as_secs_f64()
}

fn compare(folder: &Path, kind: Kind, cipher: &str) -> Figure {
    let file = folder.join("text");
    let (ours, sshd) = (Server::start(kind, folder), Server::start(Kind::Sshd, folder));
    let before = processes::cpu_of(ours.pid());
    // The first round warms up.
    let rounds: Vec<(f64, f64)> =
        (0..=RUNS).map(|_| (run(&sshd, cipher, &file), run(&ours, cipher, &file))).skip(1).collect();
    let cpu = (processes::cpu_of(ours.pid()) - before) / to_f64(RUNS as u64 + 1);
    sshd.stop();
    let (code, said) = ours.stop();
    assert_eq!(code, Some(0), "{said}");
    std::fs::remove_dir_all(folder.join("out")).expect("it is ours");
    let ratio = median(rounds.iter().map(|(sshd, ours)| ours / sshd).collect());
    let (direct, recorded) =
        (median(rounds.iter().map(|r| r.0).collect()), median(rounds.iter().map(|r| r.1).collect()));
    let what = if kind == Kind::Plain { "recorded" } else { "recorded and masked" };
    Figure::new(
        format!("500 MB over SSH, {what}, {cipher} (load {}), against sshd", processes::load()),
        format!(
            "{ratio:.2} x ({recorded:.0} MB/s against {direct:.0} MB/s; the gateway takes {cpu:.1} s of CPU for it)"
        ),
        ">= 0.7 x",
        ratio >= 0.7,
    )
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    make_keys(folder.path());
    text::write(&folder.path().join("text"), BYTES);
    let kinds = [Kind::Plain, Kind::Gateway].into_iter();
    kinds.flat_map(|kind| CIPHERS.map(|cipher| compare(folder.path(), kind, cipher))).collect()
}
