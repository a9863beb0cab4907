//! Targets that start late, break their pointers, exit and come back.

use serde_json::json;
use tapedeck_sdk::prelude::*;

use crate::support::{Arcade, arcade_path, copy_arcade, open, until};
use crate::truth::{assert_true, whole_frame};

/// The stats' chain is known beforehand: it is fixed in the game.
fn attributes() -> serde_json::Value {
    let pattern = "48 8B 05 ?? ?? ?? ?? 54 41 50 45 44 45 43 4B";
    json!({
        "frame": { "pattern": pattern, "offsets": [0], "type": "u64" },
        "health": { "pattern": pattern, "offsets": [0x18, 0x10, 8], "type": "int", "length": 4, "method": "pointer", "mask": 255 },
        "name": { "pattern": pattern, "offsets": [0x18, 0x10, 0x58], "type": "string", "length": 16 },
    })
}

#[test]
fn a_program_that_is_started_is_waited_for_and_ended_with_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("truth.csv");
    let words = json!([arcade_path(), "--start-delay", "0.3", "--truth", log]);
    let mut reader = open(&json!({ "spawn": words, "attributes": attributes() })).unwrap();
    let row = reader.row();
    assert!(!row.is_null("health") && !row.is_null("name"));
    assert_eq!(reader.host.partial_frames(), 0);
    drop(reader);
    // It was asked to end before it was killed: its log is there.
    assert!(std::fs::read_to_string(&log).unwrap().lines().count() > 1);
    let running = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(log.to_str().unwrap())
    });
    assert!(!running);
}

#[test]
fn a_broken_chain_gives_nulls_counts_as_failed_and_heals() {
    let arcade = Arcade::start(&["--hz", "200", "--null-pointer-after", "40", "--null-frames", "40"]);
    let mut reader = open(&json!({ "pid": arcade.pid(), "attributes": attributes() })).unwrap();
    let (mut nulls, mut after) = (0, 0);
    until("the chain was broken and healed", || {
        let row = reader.row();
        assert!(!row.is_null("frame"), "the world itself is always there");
        assert_eq!(row.is_null("health"), row.is_null("name"));
        if row.is_null("health") {
            nulls += 1;
            assert_eq!(after, 0);
        } else if nulls > 0 {
            after += 1;
        }
        assert_eq!(reader.host.partial_frames(), nulls);
        after >= 50
    });
    assert!(nulls > 0);
}

#[test]
fn the_exit_of_the_target_ends_the_stream() {
    let mut arcade = Arcade::start(&[]);
    let mut reader = open(&json!({ "pid": arcade.pid(), "attributes": attributes() })).unwrap();
    reader.row();
    arcade.kill();
    assert!(matches!(reader.next(), Next::End));
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn a_game_that_ends_by_itself_ends_the_stream_and_every_row_before_is_true() {
    let arcade = Arcade::start(&["--hz", "500", "--die-after", "0.3"]);
    let mut reader = open(&json!({ "pid": arcade.pid(), "attributes": arcade.by_pattern() })).unwrap();
    let mut rows = 0;
    until("it ended", || match reader.next() {
        Next::Batch { batch, .. } => {
            let row = crate::support::Row(batch);
            whole_frame(&row).into_iter().for_each(|frame| assert_true(&row, frame));
            rows += 1;
            false
        }
        Next::End => true,
        Next::Idle => panic!("nothing is waited for"),
    });
    assert!(rows > 0);
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn a_process_that_comes_back_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("arcade-again");
    copy_arcade(&program);
    let mut arcade = Arcade::start_program(&program, &[]);
    let mut reader =
        open(&json!({ "process": "arcade-again", "reattach": true, "attributes": attributes() })).unwrap();
    for _ in 0..2 {
        reader.row();
        arcade.kill();
        assert!(matches!(reader.next(), Next::Idle));
        assert!(matches!(reader.next(), Next::Idle));
        arcade = Arcade::start_program(&program, &[]);
        until("it is read again", || matches!(reader.next(), Next::Batch { .. }));
        assert!(!reader.row().is_null("health"));
    }
    assert_eq!(reader.host.partial_frames(), 0);
}

#[test]
fn a_search_is_cut_at_the_deadline_and_goes_on_at_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("arcade-search");
    copy_arcade(&program);
    let mut arcade = Arcade::start_program(&program, &[]);
    let mut reader =
        open(&json!({ "process": "arcade-search", "reattach": true, "attributes": attributes() })).unwrap();
    arcade.kill();
    assert!(matches!(reader.next(), Next::Idle));
    let _arcade = Arcade::start_program(&program, &[]);
    // A deadline that is always over: each call may only take one step.
    until("it is read again", || matches!(reader.source.next(Timestamp(0)).unwrap(), Next::Batch { .. }));
}
