//! What is shown while recording: one line that renews itself on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use tapedeck_engine::report::{Progress, Remark};

use crate::output;
use crate::run::Telling;

/// Where the progress goes.
enum Place {
    Nowhere,
    Terminal,
    Lines,
    Json,
}

/// The live line.
pub(crate) struct Live {
    place: Place,
}

impl Live {
    pub(crate) fn of(telling: Telling) -> Self {
        let place = match (telling.json, telling.quiet) {
            (true, _) => Place::Json,
            (false, true) => Place::Nowhere,
            (false, false) if std::io::stderr().is_terminal() => Place::Terminal,
            (false, false) => Place::Lines,
        };
        Self { place }
    }

    /// How often the engine is to tell.
    pub(crate) fn interval(&self) -> Duration {
        match self.place {
            Place::Terminal => Duration::from_millis(250),
            _ => Duration::from_secs(1),
        }
    }

    pub(crate) fn begin(&self, folder: &Path) {
        match self.place {
            Place::Terminal | Place::Lines => {
                output::print_error_text(&format!("recording into {} (Ctrl-C stops)\n", folder.display()));
            }
            Place::Json => output::print_json(&serde_json::json!({ "recording": folder })),
            Place::Nowhere => {}
        }
    }

    pub(crate) fn show(&self, progress: &Progress, remarks: &[Remark]) {
        if matches!(self.place, Place::Terminal | Place::Lines) {
            let clear = if matches!(self.place, Place::Terminal) { "\r\x1b[K" } else { "" };
            for Remark { stage, text, .. } in remarks {
                output::print_error_text(&format!("{clear}{stage}: {text}\n"));
            }
        }
        match self.place {
            Place::Nowhere => {}
            Place::Json => {
                output::print_json(&serde_json::json!({ "progress": progress, "remarks": remarks }))
            }
            Place::Terminal => output::print_error_text(&format!("\r\x1b[K{}", line(progress))),
            Place::Lines => output::print_error_text(&format!("{}\n", line(progress))),
        }
    }

    /// Takes the line away again.
    pub(crate) fn end(&self) {
        if matches!(self.place, Place::Terminal) {
            output::print_error_text("\r\x1b[K");
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
