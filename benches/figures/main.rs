//! Measures what the project promises, each figure as a ratio to a peer or to a bare loop in the same run. `cargo bench` prints the
//! table; `benches/run.sh` keeps it under `benches/results/`. What each figure means and how noise is kept out: `benches/README.md`.

#![expect(clippy::disallowed_methods, reason = "peers are timed by the system's own clock, not by ours")]
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod budget;
mod check;
mod doors;
mod engine;
mod hop;
mod mcap;
mod peers;
mod rate;
mod replay;
mod small_frames;
mod start;
mod terminals;

/// One line of the table.
pub(crate) struct Figure {
    name: String,
    measured: String,
    wanted: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Reached,
    Missed,
    /// What it is held against is not on this machine.
    Absent,
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        measured: impl Into<String>,
        wanted: &str,
        reached: bool,
    ) -> Self {
        let verdict = if reached { Verdict::Reached } else { Verdict::Missed };
        Self { name: name.into(), measured: measured.into(), wanted: wanted.to_owned(), verdict }
    }

    /// A figure that can't be measured here.
    pub(crate) fn absent(name: impl Into<String>, why: &str, wanted: &str) -> Self {
        let measured = format!("not measured: {why}");
        Self { name: name.into(), measured, wanted: wanted.to_owned(), verdict: Verdict::Absent }
    }
}

/// A group of figures: its name, and the function that measures them.
type Group = (&'static str, fn() -> Vec<Figure>);

const GROUPS: &[Group] = &[
    ("hop", hop::measure),
    ("small-frames", small_frames::measure),
    ("mcap", mcap::measure),
    ("peers", peers::measure),
    ("start", start::measure),
    ("check", check::measure),
    ("rate", rate::measure),
    ("budget", budget::measure),
    ("doors", doors::measure),
    ("terminals", terminals::measure),
    ("replay", replay::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [writer, start_us, seconds] = &arguments[..]
        && writer == "paced-writer"
    {
        let number = |text: &str| text.parse().expect("the figures start it with numbers");
        // Whoever does not read to the end has ended the measurement.
        return drop(terminals::write_paced(number(start_us), number(seconds)));
    }
    if arguments == ["spin"] {
        replay::spin();
    }
    let wanted: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let (mut missed, mut absent) = (0, 0);
    for (name, measure) in
        GROUPS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        println!("\n{name}");
        for figure in measure() {
            let verdict = match figure.verdict {
                Verdict::Reached => "ok    ",
                Verdict::Missed => "MISSED",
                Verdict::Absent => "absent",
            };
            missed += usize::from(figure.verdict == Verdict::Missed);
            absent += usize::from(figure.verdict == Verdict::Absent);
            println!("  {verdict}  {}: {} (wanted {})", figure.name, figure.measured, figure.wanted);
        }
    }
    println!("\n{missed} figures missed, {absent} not measured");
}

/// The figures of the parts of a group that `variable` in the environment names, with commas between; of all without it.
pub(crate) fn parts(variable: &str, parts: &[Group]) -> Vec<Figure> {
    let picked = std::env::var(variable).unwrap_or_default();
    let wanted = |name: &str| picked.is_empty() || picked.split(',').any(|part| part == name);
    parts.iter().filter(|(name, _)| wanted(name)).flat_map(|(_, measure)| measure()).collect()
}

/// The middle one of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
