//! Tests of the cursor with the simplest format: a line has a time. What it finds is what a look at all lines finds.

use std::io::{self, Cursor};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use tapedeck_sdk::{DataType, Kind, Recording, RowWriter, StreamSchema, Timestamp};

/// Lines that are times.
struct Times(LineReader<Cursor<Vec<u8>>>);

impl RowReader for Times {
    fn advance(&mut self) -> io::Result<Step> {
        Ok(match self.0.advance()? {
            Found::Line { .. } => match self.0.text().parse() {
                Ok(time) => Step::Row { seq: None, time },
                Err(_) => Step::Bad("is no time".to_owned()),
            },
            _ => Step::End(Ending::Whole),
        })
    }

    fn begin(&self) -> (u64, u64) {
        self.0.begin()
    }

    fn go_to(&mut self, place: &Place) -> io::Result<()> {
        self.0.go_to((place.byte, place.line))
    }

    fn choose(&mut self, _schema: &StreamSchema) {}

    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        writer.set_str(0, self.0.text());
        Some(())
    }
}

fn recording(text: &str) -> LineRecording<Times> {
    let rows = Times(LineReader::new(Cursor::new(text.as_bytes().to_vec())));
    let mut cursor = RowCursor::new(rows, Path::new("times"));
    cursor.read_to_end(|_| {}).unwrap();
    let schema = StreamSchema::builder("times", Kind::Attributes).field("text", DataType::Utf8).build();
    LineRecording::new(cursor, schema.unwrap()).unwrap()
}

fn lines(times: &[i64]) -> String {
    times.iter().map(|time| format!("{time}\n")).collect()
}

/// The numbers of all rows from a moment on.
fn rows_from(recording: &mut LineRecording<Times>, time: i64) -> Vec<u64> {
    recording.seek(Timestamp(time)).unwrap();
    let mut rows = Vec::new();
    while let Some((_, batch)) = recording.next().unwrap() {
        rows.extend_from_slice(batch.seq());
    }
    rows
}

/// Both ways to a moment find what a look at all times finds.
fn finds(times: &[i64], moment: i64, recording: &mut LineRecording<Times>) {
    let first = times.iter().position(|&time| time >= moment).unwrap_or(times.len());
    let expected: Vec<u64> = (first..times.len()).map(|row| row as u64).collect();
    assert_eq!(rows_from(recording, moment), expected, "at {moment}");
    let nearest = (0..times.len()).min_by_key(|&row| times[row].abs_diff(moment));
    let found = recording.closest(0, Timestamp(moment)).unwrap();
    assert_eq!(found.map(|(batch, row)| batch.seq()[row]), nearest.map(|row| row as u64), "near {moment}");
}

#[test]
fn moments_are_found_in_many_blocks_whatever_the_times() {
    let rising: Vec<i64> = (0..3456).map(|row| row / 3 * 10).collect();
    let falling: Vec<i64> = rising.iter().rev().copied().collect();
    let mixed: Vec<i64> = (0..3456).map(|row| row * 7919 % 3001 * 3).collect();
    let steps: Vec<i64> = (0..3456).map(|row| row / 1000 * 1000).collect();
    for times in [rising, falling, mixed, steps, vec![5], Vec::new()] {
        let mut recording = recording(&lines(&times));
        for moment in
            [11_999, i64::MIN, 5, i64::MAX, 2000, 1999, 2001].into_iter().chain((-10..12_000).step_by(719))
        {
            finds(&times, moment, &mut recording);
        }
    }
}

#[test]
fn a_line_knows_its_number_from_wherever_reading_goes_on() {
    let mut text = lines(&(0..2500).collect::<Vec<_>>());
    text.insert(0, '\n');
    let mut recording = recording(&(text + "\n\nrubbish\n7000\n\nmore\n"));
    for _ in 0..2 {
        recording.seek(Timestamp(2499)).unwrap();
        assert_eq!(
            recording.next().unwrap().unwrap().1.seq(),
            [2499, 2500],
            "what follows a bad line is read"
        );
        let error = recording.next().unwrap_err();
        let bad = "line 2504 is no time; 1 more line can't be read";
        assert_eq!(error.message, format!("the recording is damaged: {bad}: times"));
        assert_eq!(recording.next().unwrap_err(), error, "until the next seek");
    }
    assert_eq!(recording.extent(0).unwrap().frames, 2501);
}

#[test]
fn only_its_one_stream_is_asked_for() {
    let mut recording = recording("1\n");
    assert!(recording.closest(1, Timestamp(0)).is_err());
    assert_eq!(recording.extent(1), None);
}

proptest! {
    #[test]
    fn any_moment_is_found(times in prop::collection::vec(-20..20_i64, 0..50), moments in prop::collection::vec(-25..25_i64, 1..10)) {
        let mut recording = recording(&lines(&times));
        moments.into_iter().for_each(|moment| finds(&times, moment, &mut recording));
    }
}
