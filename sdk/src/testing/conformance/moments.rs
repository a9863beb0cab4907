//! Whether the reader of a file finds every moment of it, knows what it holds, and reads no more than is wanted. What a reader gives when
//! it reads from the beginning is taken for the truth here.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::cells::{self, Fidelity};
use super::read_back::{drain, name};
use super::told;
use crate::{Batch, Extent, Format, HEAD_BYTES, Recording, StreamSchema, Timestamp, Wanted};

/// Rows one after the other, whatever the batches.
type Rows<'a> = Vec<(&'a Batch, usize)>;

/// Checks the reader of one file: `matches`, `extent`, `select`, `seek` and `closest` against what it reads from the beginning.
///
/// # Errors
/// What was found to break the contract.
pub fn recording(format: &dyn Format, file: &Path) -> Result<(), String> {
    let wrong = |wrong: String| format!("{}: {wrong}", name(file));
    let open = || format.open(file).map_err(|error| wrong(told("it does not open", &error)));
    knows_its_own(format, file).map_err(wrong)?;
    let mut recording = open()?;
    let batches = by_stream(recording.as_mut()).map_err(wrong)?;
    let all: Vec<Rows<'_>> = batches.iter().map(|batches| rows(batches)).collect();
    let mut recording = open()?;
    for (stream, rows) in all.iter().enumerate() {
        extent(recording.extent(stream), rows).map_err(wrong)?;
    }
    let moments = moments(&all);
    for (turn, &to) in moments.iter().enumerate() {
        let at = |wrong: String| format!("{}: at {}: {wrong}", name(file), to.0);
        closest(recording.as_mut(), &all, to).map_err(at)?;
        recording.seek(to).map_err(|error| at(told("it can't seek", &error)))?;
        if turn % 3 == 2 {
            // What is left unread must not come after the next seek.
            recording.next().map_err(|error| at(told("it can't be read", &error)))?;
            continue;
        }
        let found = by_stream(recording.as_mut()).map_err(at)?;
        same(&from(&all, to), &found, &everything(recording.streams())).map_err(at)?;
    }
    selects(&open, &all, &moments).map_err(wrong)
}

fn knows_its_own(format: &dyn Format, file: &Path) -> Result<(), String> {
    let mut head = Vec::new();
    if !file.is_dir() {
        let opened = std::fs::File::open(file);
        let read = opened.and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
        read.map_err(|error| format!("can't be read: {error}"))?;
    }
    if format.matches(&head, file) {
        Ok(())
    } else {
        Err("its reader does not take it for one of its own".to_owned())
    }
}

/// Everything that a recording still has, stream by stream.
fn by_stream(recording: &mut dyn Recording) -> Result<Vec<Vec<Batch>>, String> {
    let mut streams = vec![Vec::new(); recording.streams().len()];
    drain(recording)?.into_iter().for_each(|(stream, batch)| streams[stream].push(batch));
    Ok(streams)
}

fn rows(batches: &[Batch]) -> Rows<'_> {
    batches.iter().flat_map(|batch| (0..batch.rows()).map(move |row| (batch, row))).collect()
}

fn time((batch, row): (&Batch, usize)) -> i64 {
    batch.timestamps()[row]
}

/// What an extent says must be so.
fn extent(extent: Option<Extent>, rows: &Rows<'_>) -> Result<(), String> {
    let Some(extent) = extent else { return Ok(()) };
    let seq = |row: &(&Batch, usize)| row.0.seq()[row.1];
    let times = || rows.iter().map(|&row| time(row));
    let expected = Extent {
        frames: rows.len() as u64,
        seq: extent.seq.and(rows.first().map(seq).zip(rows.last().map(seq))),
        timestamps: extent.timestamps.and(times().min().zip(times().max())),
    };
    if extent == expected { Ok(()) } else { Err(format!("its extent is {extent:?}, {expected:?} was read")) }
}

/// Moments to look for, going back and forth: before, at, between and behind frames.
fn moments(all: &[Rows<'_>]) -> Vec<Timestamp> {
    let mut moments = vec![i64::MIN, i64::MAX];
    for rows in all.iter().filter(|rows| !rows.is_empty()) {
        let last = rows.len() - 1;
        for row in [0, 1.min(last), last / 3, last / 2, last.saturating_sub(1), last] {
            let at = time(rows[row]);
            let next = rows.get(row + 1).map_or(at, |&next| time(next));
            moments.extend([at.saturating_sub(1), at, at.saturating_add(1), at.midpoint(next)]);
        }
    }
    moments.sort_unstable();
    moments.dedup();
    let (early, late) = moments.split_at(moments.len() / 2);
    let pairs = late.iter().rev().zip(early.iter().map(Some).chain([None]));
    pairs.flat_map(|(&late, early)| [Some(late), early.copied()]).flatten().map(Timestamp).collect()
}

/// The frames of each stream from its first one at or after a moment.
fn from<'a>(all: &[Rows<'a>], to: Timestamp) -> Vec<Rows<'a>> {
    let rest = |rows: &Rows<'a>| {
        let first = rows.iter().position(|&row| time(row) >= to.0).unwrap_or(rows.len());
        rows[first..].to_vec()
    };
    all.iter().map(rest).collect()
}

fn everything(streams: &[Arc<StreamSchema>]) -> Vec<Vec<usize>> {
    streams.iter().map(|schema| (0..schema.payload().len()).collect()).collect()
}

/// Whether these are the frames, `columns` of them.
fn same(expected: &[Rows<'_>], found: &[Vec<Batch>], columns: &[Vec<usize>]) -> Result<(), String> {
    for ((expected, found), columns) in expected.iter().zip(found).zip(columns) {
        let found = rows(found);
        if expected.len() != found.len() {
            return Err(format!("{} frames come, {} should", found.len(), expected.len()));
        }
        for (&expected, found) in expected.iter().zip(found) {
            same_frame(expected, found, columns)?;
        }
    }
    Ok(())
}

fn same_frame(expected: (&Batch, usize), found: (&Batch, usize), columns: &[usize]) -> Result<(), String> {
    let lead = |(batch, row): (&Batch, usize)| (batch.seq()[row], batch.timestamps()[row]);
    if lead(expected) != lead(found) {
        return Err(format!("seq and timestamp are {:?}, not {:?}", lead(found), lead(expected)));
    }
    if found.0.schema().payload().len() != columns.len() {
        return Err(format!("{} columns come, {} should", found.0.schema().payload().len(), columns.len()));
    }
    for (place, &column) in columns.iter().enumerate() {
        let pair = [(expected.0.column(column), expected.1), (found.0.column(place), found.1)];
        cells::same(Fidelity::Exact, pair[0], pair[1])
            .map_err(|wrong| format!("column \"{}\": {wrong}", expected.0.schema().payload()[column].name))?;
    }
    Ok(())
}

/// The closest frame of each stream is that of a look at all of them.
fn closest(recording: &mut dyn Recording, all: &[Rows<'_>], to: Timestamp) -> Result<(), String> {
    for (stream, rows) in all.iter().enumerate() {
        let found =
            recording.closest(stream, to).map_err(|error| told("its closest frame can't be read", &error))?;
        if !rows.iter().map(|&row| time(row)).is_sorted() {
            continue;
        }
        let expected = rows.iter().copied().min_by_key(|&row| time(row).abs_diff(to.0));
        match (expected, &found) {
            (None, None) => {}
            (Some(expected), Some((batch, row))) if *row < batch.rows() => {
                let columns: Vec<usize> = (0..expected.0.schema().payload().len()).collect();
                same_frame(expected, (batch, *row), &columns)
                    .map_err(|wrong| format!("the closest frame is another one: {wrong}"))?;
            }
            (None, Some(_)) => return Err("there is a closest frame among none".to_owned()),
            (Some(_), _) => return Err("there is no closest frame".to_owned()),
        }
    }
    Ok(())
}

/// Of each stream every other column is read and the last of several streams is left out; what is not there is refused.
fn selects(
    open: &impl Fn() -> Result<Box<dyn Recording>, String>,
    all: &[Rows<'_>],
    moments: &[Timestamp],
) -> Result<(), String> {
    let mut recording = open()?;
    let schemas = recording.streams().to_vec();
    let mut columns = everything(&schemas);
    columns.iter_mut().for_each(|columns| columns.retain(|column| column % 2 == 1));
    let mut wanted: Vec<Wanted> = columns.iter().cloned().map(Wanted::Columns).collect();
    let mut expected = all.to_vec();
    if let ([_, .., last], Some(rows)) = (&mut wanted[..], expected.last_mut()) {
        *last = Wanted::Nothing;
        rows.clear();
    }
    recording.select(&wanted).map_err(|error| told("columns can't be selected", &error))?;
    let left = Wanted::of_streams(&wanted, &schemas).map_err(|error| error.to_string())?;
    if recording.streams() != left {
        return Err("its streams are not those that were selected".to_owned());
    }
    for &to in [Timestamp(i64::MIN)].iter().chain(moments.get(moments.len() / 2)) {
        recording.seek(to).map_err(|error| told("it can't seek", &error))?;
        let found = by_stream(recording.as_mut())?;
        same(&from(&expected, to), &found, &columns)
            .map_err(|wrong| format!("of every other column: {wrong}"))?;
    }
    let too_many = vec![Wanted::All; schemas.len() + 1];
    let not_there = schemas.iter().map(|schema| Wanted::Columns(vec![schema.payload().len()])).collect();
    for (what, wanted) in [("of a stream", too_many), ("of a column", not_there)] {
        if !schemas.is_empty() && open()?.select(&wanted).is_ok() {
            return Err(format!("a selection {what} that is not there was taken"));
        }
    }
    Ok(())
}
