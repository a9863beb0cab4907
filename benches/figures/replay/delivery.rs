//! Whether every frame of a recording comes, once and in order, at any speed.

use super::arrivals::Arrivals;
use super::{Recorded, pipeline, registry};
use crate::Figure;
use crate::engine::{folder, run_with};

const SPEEDS: [&str; 4] = ["speed = 0.5", "speed = 1.0", "speed = 4.0", "timing = \"none\""];
const RECORDED: (i64, i64) = (1000, 3000);

/// The figures.
pub(super) fn measure() -> Vec<Figure> {
    let folder = folder();
    let recorded = Recorded::at(RECORDED.0, RECORDED.1);
    let path = recorded.write(&tapedeck_arrow::factory(), folder.path());
    let mut wrong = 0;
    let told: Vec<String> = SPEEDS
        .iter()
        .map(|speed| {
            let arrivals = Arrivals::default();
            let report = run_with(&registry(&arrivals), &pipeline(&path, "", speed, "arrivals"));
            let seq: Vec<u64> = arrivals.take().iter().map(|arrival| arrival.seq).collect();
            let twice_or_back = seq.windows(2).filter(|pair| pair[1] <= pair[0]).count();
            let missing = RECORDED.1.unsigned_abs().saturating_sub(seq.len() as u64);
            wrong += twice_or_back as u64 + missing + u64::from(report.loss.any());
            format!("{speed}: {missing} missing, {twice_or_back} twice or out of order")
        })
        .collect();
    let name = format!("{} frames replayed, the sink has", RECORDED.1);
    vec![Figure::new(name, told.join("; "), "all, none twice, none out of order", wrong == 0)]
}
