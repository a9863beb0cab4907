//! Any recording as it is shown: a table of its streams with what was read last of each. Knows no format and no kind of stream.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapedeck_engine::replay::{Moment, Reel, Window};
use tapedeck_sdk::{Batch, Error, StreamSchema, Timestamp};

use super::arguments::Speed;
use super::player::{LOOK_INTERVAL, Part, Show, Shown, Standing, Take};
use super::screen::{LEAVE_ALTERNATE, PUT_BACK, Screen};
use super::values::{cut, position, short, values};
use crate::output::{table, thousands, to_f64};

/// The alternate screen, without a cursor, and lines that are too long are cut.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";

/// How wide and how high a table is that no terminal limits.
const PLAIN_SIZE: (usize, usize) = (120, usize::MAX);

/// The least that is left for values.
const VALUES_WIDTH_MIN: usize = 20;

/// A recording that is played as a table.
pub(super) struct TableShow {
    reel: Reel,
    begin: Timestamp,
    part: Part,
    lines: Vec<Line>,
    /// The batch in hand, its stream, and its next row.
    batch: Option<(usize, Batch, usize)>,
    /// What the terminal shows, and since when; nothing before it was taken.
    drawn: Option<(String, Timestamp)>,
}

/// What the table says of a stream.
struct Line {
    schema: Arc<StreamSchema>,
    /// When its first and last frame are.
    span: Option<(Timestamp, Timestamp)>,
    frames: u64,
    /// The newest frame.
    newest: Option<(Batch, usize)>,
    /// Since the last jump: frames, and the times of the first and the last one.
    steady: Option<(u64, i64, i64)>,
}

impl TableShow {
    /// `path` is what the recording is called.
    pub(super) fn open(mut reel: Reel, path: &Path, window: Window) -> Result<Self, Error> {
        let begin = reel.begin()?.ok_or_else(|| {
            Error::data(format!("nothing is recorded in it: {}", path.display()))
                .with_hint("tapedeck inspect shows what a file holds")
        })?;
        let lines: Vec<Line> = (0..reel.streams().len())
            .map(|stream| {
                let schema = reel.streams()[stream].clone();
                // A stream that can't be read to its end has no known end; the error is told where it is reached.
                let span = reel.span(stream).unwrap_or(None);
                Line { schema, span, frames: 0, newest: None, steady: None }
            })
            .collect();
        let last = lines.iter().filter_map(|line| line.span).map(|(_, last)| last).max();
        let from = match window.start {
            Some(Moment::After(after)) => after,
            Some(Moment::At(time)) => time.since(begin),
            None => Duration::ZERO,
        };
        let end = end(from, last.map(|last| last.since(begin)), window.duration);
        reel.show(window)?;
        let part = Part { from, end, marks: Vec::new() };
        Ok(Self { reel, begin, part, lines, batch: None, drawn: None })
    }

    /// Where a time is in the recording.
    fn at(&self, time: i64) -> Duration {
        Timestamp(time).since(self.begin)
    }

    /// The table and below it where the playback stands, in so many columns and rows.
    fn text(&self, standing: &Standing, (width, height): (usize, usize)) -> String {
        let header = ["stream", "kind", "position", "frames", "per s", "seq"];
        let rows: Vec<Vec<String>> = self.lines.iter().map(|line| self.row(line)).collect();
        let narrow = table(&header, &[0, 1], rows);
        let left = narrow.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 2;
        let room = height.saturating_sub(3);
        let mut text = String::new();
        for (index, line) in narrow.lines().enumerate() {
            if index > 0 && index >= room && self.lines.len() > room {
                text.push_str(&format!("and {} more streams\n", self.lines.len() + 1 - index));
                break;
            }
            let heading = if index == 0 { "values".to_owned() } else { String::new() };
            let newest = index.checked_sub(1).and_then(|stream| self.lines[stream].newest.as_ref());
            let values = newest.map_or(heading, |(batch, row)| {
                values(batch, *row, width.saturating_sub(left).max(VALUES_WIDTH_MIN))
            });
            let line = format!("{line:left$}{values}");
            text.push_str(cut(line.trim_end(), width));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(cut(&self.status(standing), width));
        text
    }

    fn row(&self, line: &Line) -> Vec<String> {
        let newest = line.newest.as_ref();
        let at = newest.map(|(batch, row)| position(self.at(batch.timestamps()[*row])));
        let end = line.span.map_or("?".to_owned(), |(_, last)| position(last.since(self.begin)));
        let seq = newest.map_or("-".to_owned(), |(batch, row)| batch.seq()[*row].to_string());
        vec![
            short(line.schema.name()),
            line.schema.kind().to_string(),
            format!("{}/{end}", at.as_deref().unwrap_or("-")),
            thousands(line.frames),
            line.rate().map_or("-".to_owned(), |rate| format!("{rate:.1}")),
            seq,
        ]
    }

    fn status(&self, standing: &Standing) -> String {
        let end = self.part.end.map_or("?".to_owned(), position);
        let speed = match standing.speed {
            Speed::Max => "max".to_owned(),
            Speed::Times(times) => format!("{times:.2}"),
        };
        let paused = if standing.is_paused { ", paused" } else { "" };
        format!("{} / {end}, speed {speed}{paused}", position(standing.position))
    }
}

/// Where the part ends, if that is known.
fn end(from: Duration, last: Option<Duration>, duration: Option<Duration>) -> Option<Duration> {
    let wanted = duration.map(|duration| from.saturating_add(duration));
    last.into_iter().chain(wanted).min()
}

impl Line {
    /// Takes frames of the stream.
    fn take(&mut self, batch: &Batch, rows: std::ops::Range<usize>) {
        let Some(newest) = rows.clone().next_back() else { return };
        let count = rows.len() as u64;
        let (first, last) = (batch.timestamps()[rows.start], batch.timestamps()[newest]);
        self.frames += count;
        self.steady =
            Some(self.steady.map_or((count, first, last), |(n, first, _)| (n + count, first, last)));
        self.newest = Some((batch.clone(), newest));
    }

    /// Frames in a second of the recording.
    fn rate(&self) -> Option<f64> {
        let (count, first, last) = self.steady?;
        let seconds = Timestamp(last).since(Timestamp(first)).as_secs_f64();
        (count > 1 && seconds > 0.0).then(|| to_f64(count - 1) / seconds)
    }
}

impl Show for TableShow {
    fn part(&self) -> &Part {
        &self.part
    }

    fn next_at(&mut self) -> Result<Option<Duration>, Error> {
        if self.batch.is_none() {
            self.batch = self.reel.read()?.map(|(stream, batch)| (stream, batch, 0));
        }
        Ok(self.batch.as_ref().map(|(_, batch, row)| self.at(batch.timestamps()[*row])))
    }

    fn advance(&mut self, take: Take, _: &mut Screen) -> Result<Shown, Error> {
        let Some((stream, batch, row)) = self.batch.take() else { return Ok(Shown::GoOn) };
        let times = &batch.timestamps()[row..];
        let count = match take {
            Take::One => 1,
            Take::Until(until) => times.iter().take_while(|time| self.at(**time) <= until).count().max(1),
        };
        self.lines[stream].take(&batch, row..row + count);
        if count < times.len() {
            self.batch = Some((stream, batch, row + count));
        }
        Ok(Shown::GoOn)
    }

    fn go_to(&mut self, to: Duration, _: &mut Screen) -> Result<(), Error> {
        let time = self.begin + to;
        for stream in 0..self.lines.len() {
            let line = &mut self.lines[stream];
            // Before its first frame a stream has no newest one; at the very beginning all are yet to come.
            let has_begun = !to.is_zero() && line.span.is_none_or(|(first, _)| first <= time);
            line.steady = None;
            line.newest = if has_begun { self.reel.latest(stream, time)? } else { None };
        }
        self.batch = None;
        self.reel.seek(if to.is_zero() { Timestamp(i64::MIN) } else { time })
    }

    fn refresh(&mut self, standing: &Standing, screen: &mut Screen) {
        // A terminal that is behind gets the next picture, and not this one.
        if !screen.is_idle() {
            return;
        }
        let drawn = self.drawn.as_ref();
        if drawn.is_some_and(|(_, since)| standing.now.since(*since) < LOOK_INTERVAL) {
            return;
        }
        let size = screen.size();
        let size = size.map_or((80, 24), |size| (usize::from(size.columns), usize::from(size.rows)));
        let text = self.text(standing, size);
        if drawn.is_some_and(|(before, _)| *before == text) {
            return;
        }
        let enter = if drawn.is_none() { ENTER } else { "" };
        // Each line is cleared behind its end, and then everything below: nothing flickers.
        let lines = text.replace('\n', "\x1b[K\r\n");
        screen.show(format!("{enter}\x1b[H{lines}\x1b[K\x1b[J").as_bytes());
        self.drawn = Some((text, standing.now));
    }

    fn farewell(&mut self, standing: &Standing, screen: &Screen) -> String {
        let width = screen.size().map_or(PLAIN_SIZE.0, |size| usize::from(size.columns));
        let text = self.text(standing, (width, PLAIN_SIZE.1));
        if screen.is_plain() {
            return format!("{text}\n");
        }
        let leave = if self.drawn.is_some() { LEAVE_ALTERNATE } else { "" };
        format!("{leave}{PUT_BACK}{}\r\n", text.replace('\n', "\r\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_ends_with_the_window_or_with_the_last_frame_whatever_the_numbers_are() {
        let [one, two, three] = [1, 2, 3].map(|seconds| Some(Duration::from_secs(seconds)));
        assert_eq!(end(Duration::from_secs(1), three, one), two);
        assert_eq!(end(Duration::from_secs(1), None, two), three);
        assert_eq!(end(Duration::from_secs(1), two, None), two);
        assert_eq!(end(Duration::MAX, two, one), two);
        assert_eq!(end(Duration::MAX, None, one), Some(Duration::MAX));
        assert_eq!(end(Duration::ZERO, None, None), None);
    }
}
