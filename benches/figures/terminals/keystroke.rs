//! From a key to its echo: a bare terminal with `cat` in it, the same recorded by us and by asciinema, a key to each in turn.

use std::time::{Duration, Instant};

use pty_process::blocking::Command;

use super::user::User;
use super::{asciinema, processes};
use crate::Figure;
use crate::engine::folder;

const KEYS: usize = 2000;

/// Between two keys, so that everybody sleeps when the next one comes.
const PAUSE: Duration = Duration::from_millis(3);

/// `cat` echoes, not the terminal.
const ECHO: &str = "stty raw -echo; printf ready; exec cat";

/// Time to the echo of one key, in us.
fn press(user: &mut User, key: u8) -> f64 {
    std::thread::park_timeout(PAUSE);
    let begin = Instant::now();
    user.write(&[key]);
    let echoed = user.read() == [key];
    let time = begin.elapsed().as_secs_f64() * 1e6;
    assert!(echoed, "something else than the echo came");
    time
}

/// Nine hundred and ninety of a thousand are not above this, and the middle one.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[(times.len() - 1) * 99 / 100])
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    let ours = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["rec", "--quiet", "ours", "--", "sh", "-c", ECHO])
        .current_dir(folder.path());
    let peer =
        Command::new(asciinema()).args(["rec", "--quiet", "-c", ECHO, "peer"]).current_dir(folder.path());
    let script = Command::new("script").args(["-q", "-f", "-c", ECHO, "script"]).current_dir(folder.path());
    let mut users = [Command::new("sh").args(["-c", ECHO]), ours, peer, script].map(User::start);
    let mut times = [(); 4].map(|()| Vec::with_capacity(KEYS));
    for user in &mut users {
        user.until(b"ready");
    }
    for key in (b'a'..=b'z').cycle().take(KEYS) {
        for (user, times) in users.iter_mut().zip(&mut times) {
            times.push(press(user, key));
        }
    }
    for user in &mut users {
        user.child.kill().and_then(|()| user.child.wait()).expect("it is ours to end");
    }
    let [(bare50, bare99), (ours50, ours99), (peer50, peer99), (script50, script99)] = times.map(percentiles);
    let added = ours99 - bare99;
    vec![Figure::new(
        format!("key to echo, {KEYS} keys, added by recording at p99 (load {})", processes::load()),
        format!(
            "{added:.0} us (bare {bare50:.0} us p50, {bare99:.0} us p99; recorded {ours50:.0} us, {ours99:.0} us; by asciinema {peer50:.0} us, {peer99:.0} us; by script {script50:.0} us, {script99:.0} us)"
        ),
        "<= 300 us",
        added <= 300.0,
    )]
}
