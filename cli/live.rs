//! What is shown while recording: one line that renews itself on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use tapedeck_engine::report::{Progress, Remark};
use tapedeck_sdk::Loss;

use crate::output;
use crate::run::Telling;

/// Where the progress goes.
enum Place {
    Nowhere,
    Terminal,
    Lines,
    Json,
}

/// How often lines are written that nobody may be waiting for: they fill logs.
const LINES_INTERVAL: Duration = Duration::from_secs(60);

/// How often the engine is looked at for what is to be said at once.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The live line.
pub(crate) struct Live {
    place: Place,
    /// How often it is told how far it is.
    interval: Duration,
    /// In lines: when the last one was written, and what was lost by then.
    told_seconds: f64,
    lost: Loss,
}

impl Live {
    pub(crate) fn of(telling: Telling) -> Self {
        let place = match (telling.json, telling.quiet) {
            (true, _) => Place::Json,
            (false, true) => Place::Nowhere,
            (false, false) if std::io::stderr().is_terminal() => Place::Terminal,
            (false, false) => Place::Lines,
        };
        let default = match place {
            Place::Terminal => Duration::from_millis(250),
            Place::Lines => LINES_INTERVAL,
            Place::Json | Place::Nowhere => LOOK_INTERVAL,
        };
        let interval = telling.interval.unwrap_or(default);
        Self { place, interval, told_seconds: 0.0, lost: Loss::default() }
    }

    /// How often the engine is to tell.
    pub(crate) fn interval(&self) -> Duration {
        match self.place {
            // What is lost, and what stages say, is told in time.
            Place::Lines => self.interval.min(LOOK_INTERVAL),
            _ => self.interval,
        }
    }

    pub(crate) fn begin(&self, folder: &Path) {
        match self.place {
            Place::Terminal | Place::Lines => {
                output::print_error_text(&format!(
                    "recording into {} (Ctrl-C stops)\n",
                    output::word(folder.display())
                ));
            }
            Place::Json => output::print_json(&serde_json::json!({ "recording": folder })),
            Place::Nowhere => {}
        }
    }

    pub(crate) fn show(&mut self, progress: &Progress, remarks: &[Remark]) {
        if matches!(self.place, Place::Terminal | Place::Lines) {
            self.end();
            for Remark { stage, text, .. } in remarks {
                output::print_error_text(&format!("{}: {}\n", output::word(stage), output::message(text)));
            }
        }
        match self.place {
            Place::Nowhere => {}
            Place::Json => {
                output::print_json(&serde_json::json!({ "progress": progress, "remarks": remarks }))
            }
            Place::Terminal => output::renew_line(&line(progress)),
            Place::Lines => self.show_line(progress),
        }
    }

    /// Writes a line in its time, and at once when more was lost.
    fn show_line(&mut self, progress: &Progress) {
        // Looks are not on time to the millisecond.
        let passed = progress.elapsed_seconds - self.told_seconds + 0.05;
        if passed >= self.interval.as_secs_f64() || progress.loss != self.lost {
            (self.told_seconds, self.lost) = (progress.elapsed_seconds, progress.loss);
            output::print_error_text(&format!("{}\n", line(progress)));
        }
    }

    /// Takes the line away again.
    pub(crate) fn end(&self) {
        if matches!(self.place, Place::Terminal) {
            output::renew_line("");
        }
    }
}

fn line(progress: &Progress) -> String {
    let loss = progress.loss;
    let partial = if loss.partial > 0 { format!("  partial {}", loss.partial) } else { String::new() };
    let left = progress.left_seconds.map_or(String::new(), |left| format!("  {left:.0} s left"));
    format!(
        "{:.0} s  {} frames  {:.1}/s  {}  late {}  dropped {}  failed {}{partial}{left}",
        progress.elapsed_seconds,
        output::thousands(progress.frames),
        progress.frames_per_second,
        output::bytes(progress.bytes),
        loss.late,
        loss.dropped,
        loss.failed,
    )
}
