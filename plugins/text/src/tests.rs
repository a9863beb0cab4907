//! What the sink promises.

use std::sync::Arc;

use serde_json::{Value, json};
use tapedeck_sdk::kinds::terminal;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::{FakeHost, open_sink};

use crate::factory;

type Frame<'a> = (&'a str, &'a str, &'a [u8]);

fn schema(single: bool) -> Arc<StreamSchema> {
    let builder = terminal::schema("shell");
    if single { builder.metadata(terminal::SINGLE_KEY, "true") } else { builder }.build().unwrap()
}

fn batch(schema: &Arc<StreamSchema>, frames: &[Frame<'_>]) -> Batch {
    let mut pool = BatchPool::new(schema.clone());
    let mut builder = pool.builder(frames.len());
    for (connection, code, data) in frames {
        builder.push_row(Timestamp(1)).set_str(0, connection).set_str(1, code).set_bytes(2, data);
    }
    let mut batch = builder.finish();
    batch.stamp(0, Timestamp(0));
    batch
}

/// A sink at work.
struct Desk {
    folder: tempfile::TempDir,
    schema: Arc<StreamSchema>,
    /// `None` once it has been finished.
    sink: Option<Box<dyn Sink>>,
    /// How many frames it has refused.
    refused: u64,
}

impl Desk {
    fn new(options: &Value, single: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = FakeHost::new(folder.path());
        let schema = schema(single);
        let sink = open_sink(&factory(), options, std::slice::from_ref(&schema), &host, "demo").unwrap();
        Self { folder, schema, sink: Some(sink), refused: 0 }
    }

    fn write(&mut self, frames: &[Frame<'_>]) {
        let written = self.sink.as_mut().unwrap().write(0, batch(&self.schema, frames)).unwrap();
        self.refused += written.refused_frames();
    }

    fn finish(&mut self) {
        self.refused += self.sink.take().unwrap().finish().unwrap().refused_frames();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

/// What is in the file after this output, on a screen of that size.
fn text(size: &str, output: &[u8]) -> String {
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[("a", "r", size.as_bytes()), ("a", "o", output)]);
    desk.finish();
    desk.text("demo.txt")
}

#[test]
fn a_text_is_what_the_screen_showed_and_what_scrolled_away() {
    assert_eq!(text("20x3", b"$ ls\r\na  b\r\n$ date\r\nnoon\r\n$ "), "$ ls\na  b\n$ date\nnoon\n$\n");
    assert_eq!(text("20x3", b"\x1b[1;31mred\x1b[0m and\x1b]0;title\x07 plain"), "red and plain\n");
    assert_eq!(text("20x3", b"10%\r20%\r100%\r\ndone"), "100%\ndone\n", "a line that was drawn over");
    assert_eq!(text("8x2", b"a line that is wrapped\r\nshort"), "a line that is wrapped\nshort\n");
    assert_eq!(text("20x3", b"before\r\n\x1b[?1049h\x1b[Hvim\x1b[?1049lafter"), "before\nafter\n");
    assert_eq!(text("20x3", b"gone?\x1bcnew"), "gone?\nnew\n", "a reset");
    assert_eq!(text("20x3", b""), "");
    assert_eq!(text("20x3", b"\r\n\r\nlow"), "\n\nlow\n");
}

#[test]
fn a_character_cut_anywhere_is_whole_and_noise_is_no_panic() {
    let emoji = "caf\u{e9} \u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} end".as_bytes();
    let whole = text("40x2", emoji);
    for cut in 0..emoji.len() {
        let mut desk = Desk::new(&json!({}), true);
        desk.write(&[("a", "r", b"40x2"), ("a", "o", &emoji[..cut]), ("a", "o", &emoji[cut..])]);
        desk.finish();
        assert_eq!(desk.text("demo.txt"), whole, "cut at {cut}");
    }
    let mut noise = 1_u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    };
    let noise: Vec<u8> = std::iter::repeat_with(&mut next).take(1 << 18).collect();
    let mut desk = Desk::new(&json!({}), true);
    for (count, piece) in noise.chunks(4096).enumerate() {
        let size = format!("{}x{}", 1 + count * 7 % 200, 1 + count * 11 % 60);
        desk.write(&[("a", "r", size.as_bytes()), ("a", "o", piece)]);
    }
    desk.write(&[("a", "r", b"65535x65535"), ("a", "o", b"big")]);
    desk.finish();
    assert_eq!(desk.refused, 0);
}

#[test]
fn after_each_flush_the_file_has_everything_and_nothing_twice() {
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[("a", "r", b"20x3"), ("a", "o", b"one\r\ntwo\r\na long third line")]);
    desk.sink.as_mut().unwrap().flush().unwrap();
    assert_eq!(desk.text("demo.txt"), "one\ntwo\na long third line\n");
    // The screen changes and grows shorter.
    desk.write(&[("a", "o", b"\r\x1b[K3\r\n4")]);
    desk.sink.as_mut().unwrap().flush().unwrap();
    assert_eq!(desk.text("demo.txt"), "one\ntwo\n3\n4\n");
    desk.write(&[("a", "o", b"\x1b[2J\x1b[H5")]);
    desk.finish();
    assert_eq!(desk.text("demo.txt"), "one\ntwo\n3\n4\n5\n");
}

#[test]
fn each_connection_has_a_file_and_a_bad_name_leads_nowhere() {
    let mut desk = Desk::new(&json!({ "width": 10 }), false);
    desk.write(&[
        ("alice", "o", b"a"),
        ("../bob", "o", b"b"),
        ("alice", "x", b"0"),
        ("alice", "o", b"again"),
    ]);
    desk.write(&[
        ("alice", "?", b""),
        ("alice", "r", b"huge"),
        ("alice", "i", b"typed"),
        ("alice", "m", b""),
    ]);
    desk.finish();
    assert_eq!((desk.text("demo/alice.txt"), desk.text("demo/_._bob.txt")), ("a\n".into(), "b\n".into()));
    assert_eq!(desk.text("demo/alice-2.txt"), "again\n");
    assert_eq!(desk.refused, 2, "a code and a size that are none");
}

#[test]
fn ten_megabytes_without_a_line_end_are_kept_in_bounds() {
    let mut desk = Desk::new(&json!({}), true);
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..160 {
        desk.write(&[("a", "o", &piece)]);
    }
    desk.finish();
    assert_eq!(desk.text("demo.txt").bytes().filter(|&byte| byte == b'x').count(), 160 * (64 << 10));
}

#[test]
fn a_screen_of_no_size_and_other_streams_are_refused() {
    let host = FakeHost::new(std::path::Path::new("/nowhere"));
    let error = factory().check(&json!({ "height": 0 })).unwrap_err();
    assert!(error.message.contains("height"), "{error}");
    let other = StreamSchema::builder("s", Kind::Event).field("data", DataType::Utf8).build().unwrap();
    let error = open_sink(&factory(), &json!({}), &[other], &host, "demo").err().unwrap();
    assert_eq!(error.message, "stream \"s\" is of kind \"event\", not \"terminal\"");
}

#[test]
fn what_came_over_pipes_begins_each_line_on_the_left() {
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[("a", "o", b"one\ntwo\nth"), ("a", "o", b"ree\r\nfour"), ("a", "o", b"\n")]);
    desk.finish();
    assert_eq!(desk.text("demo.txt"), "one\ntwo\nthree\nfour\n");
}

#[test]
fn bytes_of_a_transfer_are_not_shown() {
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[
        ("a", "o", b"text\r\n"),
        ("a", "c", br#"{"output_as":"bytes"}"#),
        ("a", "o", b"\0\xffnoise"),
    ]);
    desk.finish();
    assert_eq!(desk.text("demo.txt"), "text\n");
}

#[test]
fn a_character_is_repeated_for_one_line_at_most() {
    assert_eq!(text("10x3", b"x\x1b[65535b\r\nend"), format!("{}\nend\n", "x".repeat(11)));
    let mut desk = Desk::new(&json!({}), true);
    let repeats = b"x\x1b[65535b".repeat(30_000);
    desk.write(&[("a", "r", b"80x24"), ("a", "o", &repeats)]);
    desk.finish();
    assert!(desk.text("demo.txt").len() <= 81 * 30_000 + 1_000, "65535 characters for each 9 bytes");
    assert_eq!(desk.refused, 0);
}

#[test]
fn output_that_makes_too_much_text_is_left_out_and_counted() {
    // Five bytes fill the screen and reset it: what was on it goes into the text.
    let fills = b"\x1b#8\x1bc".repeat(1_000);
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[("a", "r", b"500x100"), ("a", "o", &fills), ("a", "o", b"the end\r\n")]);
    desk.finish();
    let text = desk.text("demo.txt");
    assert!(text.len() < (9 << 20) && text.ends_with("the end\n"), "{} bytes", text.len());
    let said = text.lines().find(|line| line.starts_with('[')).expect("the text says so");
    assert!(said.ends_with("lines left out: a few bytes of output make too much text]"), "{said}");
    assert_eq!(desk.refused, 1, "the frame that made too much");
}

#[test]
fn empty_lines_on_a_wide_screen_are_not_too_much() {
    let mut desk = Desk::new(&json!({}), true);
    desk.write(&[("a", "r", b"2000x3"), ("a", "o", &b"\r\n".repeat(20_000)), ("a", "o", b"end")]);
    desk.finish();
    assert_eq!((desk.text("demo.txt").len(), desk.refused), (20_004, 0));
}
