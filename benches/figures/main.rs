//! Measures what the project promises, each figure as a ratio to a peer or to a bare loop in the same run. `cargo bench` prints the
//! table; `benches/run.sh` keeps it under `benches/results/`. What each figure means and how noise is kept out: `benches/README.md`.

#![expect(clippy::disallowed_methods, reason = "peers are timed by the system's own clock, not by ours")]
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod budget;
mod check;
mod doors;
mod engine;
mod hop;
mod peers;
mod rate;
mod small_frames;
mod start;
mod terminals;

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) measured: String,
    pub(crate) wanted: String,
    pub(crate) reached: bool,
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        measured: impl Into<String>,
        wanted: &str,
        reached: bool,
    ) -> Self {
        Self { name: name.into(), measured: measured.into(), wanted: wanted.to_owned(), reached }
    }
}

/// A group of figures: its name, and the function that measures them.
type Group = (&'static str, fn() -> Vec<Figure>);

const GROUPS: &[Group] = &[
    ("hop", hop::measure),
    ("small-frames", small_frames::measure),
    ("peers", peers::measure),
    ("start", start::measure),
    ("check", check::measure),
    ("rate", rate::measure),
    ("budget", budget::measure),
    ("doors", doors::measure),
    ("terminals", terminals::measure),
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
    let wanted: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut missed = 0;
    for (name, measure) in
        GROUPS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        println!("\n{name}");
        for figure in measure() {
            let verdict = if figure.reached { "ok    " } else { "MISSED" };
            missed += usize::from(!figure.reached);
            println!("  {verdict}  {}: {} (wanted {})", figure.name, figure.measured, figure.wanted);
        }
    }
    println!("\n{missed} figures missed");
}

/// The middle one of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
