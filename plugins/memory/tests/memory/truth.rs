//! Rows are true frames, whatever way the variables are found.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::support::{Arcade, Row, open, until, wall_clock};
use crate::values::{Values, extra};

/// The frame that a row shows, if it was not taken while the game was writing.
pub(crate) fn whole_frame(row: &Row) -> Option<u64> {
    let [begin, end] = ["frame_begin", "frame_end"].map(|name| row.u64(name));
    (begin == end).then_some(end)
}

/// Checks every variable of a row against what it is at that frame.
pub(crate) fn assert_true(row: &Row, frame: u64) {
    let expected = Values::at(frame);
    assert_eq!(row.column("health").values::<i32>(), [expected.health]);
    assert_eq!(row.column("mana").values::<f32>(), [expected.mana]);
    let position: Vec<u8> = expected.position.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(row.column("position").bytes_at(0), position);
    for (name, value) in ["x", "y", "z"].into_iter().zip(expected.position) {
        assert_eq!(row.column(name).values::<f32>(), [value], "{name}");
    }
    assert_eq!(row.column("speed").values::<f64>(), [expected.speed]);
    assert_eq!(row.u64("score"), expected.score);
    assert_eq!(row.column("combo").values::<i64>(), [expected.combo]);
    assert_eq!(row.column("alive").bool_at(0), expected.alive);
    assert_eq!(row.column("flags").values::<u8>(), [expected.flags]);
    assert_eq!(row.column("level").values::<u16>(), [expected.level]);
    assert_eq!(row.column("temperature").values::<i8>(), [expected.temperature]);
    assert_eq!(row.column("depth").values::<i16>(), [expected.depth]);
    assert_eq!(row.column("ticks").values::<u32>(), [expected.ticks]);
    assert_eq!(row.column("inventory").bytes_at(0), expected.inventory);
    assert_eq!(row.column("name").str_at(0), expected.name_text());
    assert_eq!(row.0.column(0).null_count(), 0);
}

/// Reads rows until the game is `frames` on, and checks each.
fn check_rows(options: &Value, frames: u64) {
    let mut reader = open(options).unwrap();
    let mut seen = Vec::new();
    until("the game has played", || {
        let row = reader.row();
        if let Some(frame) = whole_frame(&row) {
            assert_true(&row, frame);
            seen.push(frame);
        }
        seen.last().zip(seen.first()).is_some_and(|(last, first)| last - first >= frames)
    });
    assert!(seen.is_sorted(), "time went backwards: {seen:?}");
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn rows_by_pattern_and_pointers_are_true_frames() {
    let arcade = Arcade::start(&["--hz", "500"]);
    check_rows(&json!({ "pid": arcade.pid(), "attributes": arcade.by_pattern() }), 300);
}

#[test]
fn rows_by_address_are_true_frames() {
    let arcade = Arcade::start(&["--hz", "500"]);
    check_rows(&json!({ "pid": arcade.pid(), "attributes": arcade.by_address() }), 300);
}

#[test]
fn rows_by_module_and_offset_are_true_frames() {
    let arcade = Arcade::start(&["--hz", "500"]);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", arcade.pid())).unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let mut attributes = arcade.by_pattern();
    for (number, attribute) in attributes.values_mut().enumerate() {
        let attribute = attribute.as_object_mut().unwrap();
        attribute.remove("pattern");
        attribute.insert("offset".to_owned(), json!(arcade.about["world_pointer"].as_u64().unwrap() - base));
        if number % 2 == 0 {
            attribute.insert("module".to_owned(), json!("arcade"));
        }
    }
    check_rows(&json!({ "pid": arcade.pid(), "attributes": attributes }), 300);
}

#[test]
fn objects_that_move_at_every_frame_are_followed() {
    let arcade = Arcade::start(&["--hz", "2000", "--swap-every", "1"]);
    check_rows(&json!({ "pid": arcade.pid(), "attributes": arcade.by_pattern() }), 2000);
}

#[test]
fn columns_stand_in_the_order_of_the_file() {
    let arcade = Arcade::start(&[]);
    let attributes = json!({
        "zeta": { "address": 1, "type": "u8" }, "alpha": { "address": 1, "type": "f64" }, "mid": { "address": 1, "type": "bool" },
    });
    let reader = open(&json!({ "pid": arcade.pid(), "attributes": attributes })).unwrap();
    let schema = &reader.source.streams()[0];
    assert_eq!(schema.name(), "game");
    assert_eq!(
        schema.payload().iter().map(|field| field.name.as_str()).collect::<Vec<_>>(),
        ["zeta", "alpha", "mid"]
    );
}

#[test]
fn a_thousand_scattered_variables_are_read_together() {
    let arcade = Arcade::start(&["--attributes", "1000"]);
    let extras = &arcade.about["extras"];
    let (stride, offset) = (extras["stride"].as_u64().unwrap(), extras["offset"].as_u64().unwrap());
    let attribute = |index: u64| {
        let attribute =
            json!({ "pattern": arcade.about["pattern"], "offsets": [offset, index * stride], "type": "u64" });
        (format!("extra{index}"), attribute)
    };
    let attributes: Map<String, Value> = (0..1000).map(attribute).collect();
    let mut reader = open(&json!({ "pid": arcade.pid(), "attributes": attributes })).unwrap();
    let mut whole = 0;
    until("whole rows came", || {
        let row = reader.row();
        let frame = row.0.column(0).values::<u64>()[0] / crate::values::EXTRA_STEP;
        let at = |index: u64| row.0.column(usize::try_from(index).unwrap()).values::<u64>()[0];
        // A row that straddles updates shows several frames, each value that of one.
        for index in 0..1000 {
            assert_eq!(at(index), extra(at(index) / crate::values::EXTRA_STEP, index), "{index}");
        }
        whole += u32::from((0..1000).all(|index| at(index) == extra(frame, index)));
        whole >= 20
    });
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn the_timestamp_is_that_of_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("truth.csv");
    let arcade = Arcade::start(&["--hz", "250", "--truth", log.to_str().unwrap()]);
    let mut reader = open(&json!({ "pid": arcade.pid(), "attributes": arcade.by_pattern() })).unwrap();
    let mut rows = Vec::new();
    until("enough rows came", || {
        let row = reader.row();
        let read = wall_clock();
        rows.extend(whole_frame(&row).map(|frame| (frame, row.0.timestamps()[0], read.nanos())));
        rows.len() >= 300
    });
    // Two frames more, so that the last row's successor is in the log.
    let last = rows.last().map_or(0, |row| row.0);
    until("the game has gone on", || whole_frame(&reader.row()).is_some_and(|frame| frame > last + 1));
    arcade.finish();
    let truth = read_log(&std::fs::read_to_string(log).unwrap());
    for (frame, timestamp, read) in rows {
        let (before, _) = truth[&frame];
        let (_, after_next) = truth[&(frame + 1)];
        assert!(before <= read, "frame {frame} was seen before it was there");
        assert!(timestamp <= after_next, "frame {frame} was seen after the next one was there");
    }
}

/// Frame to when its update began and ended, from the log.
fn read_log(text: &str) -> HashMap<u64, (i64, i64)> {
    let line = |line: &str| {
        let mut words = line.split(',');
        let mut number = || words.next().unwrap().parse::<i64>().unwrap();
        (u64::try_from(number()).unwrap(), (number(), number()))
    };
    text.lines().skip(1).map(line).collect()
}

/// Variables of this test itself: a process may read itself.
#[test]
fn every_type_is_read_as_it_is_in_memory() {
    let text = *b"h\xC3\xA4lth\0rest";
    let broken = *b"a\xFFb\xC3";
    let bytes = [0b1010_1100_u8, 2, 0];
    let address = |bytes: &[u8]| bytes.as_ptr() as usize;
    let number = (-3_i16).to_le_bytes();
    let attributes = json!({
        "text": { "address": address(&text), "type": "string", "length": 12 },
        "cut": { "address": address(&text), "type": "string", "length": 2 },
        "broken": { "address": address(&broken), "type": "string", "length": 4 },
        "masked": { "address": address(&bytes), "type": "binary", "mask": 0x24, "method": "", "length": 0 },
        "yes": { "address": address(&bytes), "offsets": [1], "method": "direct", "type": "bool" },
        "no": { "address": address(&bytes) + 2, "type": "bool" },
        "signed": { "address": address(&number), "type": "i16" },
        "dead": { "address": 16, "type": "string", "length": 4 },
        "dead_bool": { "address": 16, "offsets": [8], "type": "bool" },
        "dead_array": { "address": 16, "type": "array", "length": 3 },
    });
    let mut reader = open(&json!({ "pid": std::process::id(), "attributes": attributes })).unwrap();
    for rows in 1..=3 {
        let row = reader.row();
        assert_eq!(row.column("text").str_at(0), "hälth");
        assert_eq!(row.column("cut").str_at(0), "h\u{FFFD}");
        assert_eq!(row.column("broken").str_at(0), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(row.column("masked").values::<u8>(), [0b0010_0100]);
        assert!(row.column("yes").bool_at(0) && !row.column("no").bool_at(0));
        assert_eq!(row.column("signed").values::<i16>(), [-3]);
        let dead = ["dead", "dead_bool", "dead_array"];
        assert!(dead.iter().all(|name| row.is_null(name)) && !row.is_null("text"));
        // A frame counts once, however many of its attributes are dead.
        assert_eq!(reader.host.partial_frames(), rows);
    }
    std::hint::black_box((&text, &broken, &bytes, &number));
}
