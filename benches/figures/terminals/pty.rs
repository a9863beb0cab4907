//! `cat` of 100 MB in a recorded terminal: ours, asciinema 3.2's and util-linux's recorder, turn by turn. Once as a user has it, in a
//! terminal whose output is read as fast as it comes, and once without one.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use super::user::User;
use super::{asciinema, processes, text};
use crate::engine::{folder, to_f64};
use crate::{Figure, median};

const BYTES: u64 = 100_000_000;
const RUNS: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorder {
    Ours,
    Asciinema,
    Script,
}

const ALL: [Recorder; 3] = [Recorder::Ours, Recorder::Asciinema, Recorder::Script];

/// Seconds by the clock, and of all processors together, `cat` included.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl Recorder {
    /// The program and its arguments. `file` is what it records into.
    fn call(self, file: &Path, headless: bool) -> Vec<String> {
        let file = file.display().to_string();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let (ours, peer) = (env!("CARGO_BIN_EXE_tapedeck"), asciinema().display().to_string());
        match self {
            Self::Ours => words(&[ours, "rec", "--quiet", &file, "--", "cat", "text"]),
            Self::Asciinema if headless => {
                words(&[&peer, "rec", "--quiet", "--headless", "-c", "cat text", &file])
            }
            Self::Asciinema => words(&[&peer, "rec", "--quiet", "-c", "cat text", &file]),
            Self::Script => words(&["script", "-q", "-c", "cat text", &file]),
        }
    }

    fn run(self, folder: &Path, headless: bool) -> Cost {
        let file = folder.join("recording.cast");
        let call = self.call(&file, headless);
        let (begin, before) = (Instant::now(), processes::cpu_of_ended_children());
        let status = if headless {
            let mut command = std::process::Command::new(&call[0]);
            command.args(&call[1..]).current_dir(folder).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null()).status()
        } else {
            let command = pty_process::blocking::Command::new(&call[0]);
            let mut user = User::start(command.args(&call[1..]).current_dir(folder));
            while !user.read().is_empty() {}
            user.child.wait()
        };
        let cost =
            Cost { wall: begin.elapsed().as_secs_f64(), cpu: processes::cpu_of_ended_children() - before };
        assert!(status.expect("it was started").success(), "{call:?}");
        let bytes = std::fs::metadata(&file).expect("it was recorded").len();
        assert!(bytes > BYTES, "{self:?} has recorded {bytes} bytes");
        std::fs::remove_file(&file).expect("it is ours");
        cost
    }
}

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    text::write(&folder.path().join("text"), BYTES);
    [false, true].into_iter().flat_map(|headless| compare(folder.path(), headless)).collect()
}

fn compare(folder: &Path, headless: bool) -> Vec<Figure> {
    // The first round warms the disk's cache up.
    let rounds: Vec<[Cost; 3]> =
        (0..=RUNS).map(|_| ALL.map(|recorder| recorder.run(folder, headless))).skip(1).collect();
    let of = |value: fn(&[Cost; 3]) -> f64| median(rounds.iter().map(value).collect());
    let rate = |wall: f64| to_f64(BYTES) / 1e6 / wall;
    let (ours, peer, script) = (of(|r| r[0].wall), of(|r| r[1].wall), of(|r| r[2].wall));
    let (ours_cpu, peer_cpu, script_cpu) = (of(|r| r[0].cpu), of(|r| r[1].cpu), of(|r| r[2].cpu));
    let (to_peer, to_script) = (of(|r| r[1].wall / r[0].wall), of(|r| r[2].wall / r[0].wall));
    let cpu = of(|r| r[0].cpu / r[1].cpu);
    let how = if headless { "without a terminal to show it" } else { "in a terminal that is read" };
    vec![
        Figure::new(
            format!("cat of 100 MB, recorded, {how} (load {}), against asciinema 3.2", processes::load()),
            format!("{to_peer:.2} x ({:.0} MB/s against {:.0} MB/s)", rate(ours), rate(peer)),
            ">= 1 x",
            to_peer >= 1.0,
        ),
        Figure::new(
            "  against util-linux script",
            format!("{to_script:.2} x ({:.0} MB/s)", rate(script)),
            ">= 0.9 x",
            to_script >= 0.9,
        ),
        Figure::new(
            "  CPU for it, cat included, against asciinema 3.2",
            format!("{cpu:.2} x ({ours_cpu:.2} s against {peer_cpu:.2} s; script {script_cpu:.2} s)"),
            "<= 1 x",
            cpu <= 1.0,
        ),
    ]
}
