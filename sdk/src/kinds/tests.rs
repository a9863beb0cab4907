//! Tests of the conventions: what is put is read, and streams that break a convention are refused with the column named.

use super::*;
use crate::testing::samples;
use crate::{Batch, BatchPool, ErrorKind, Timestamp};

#[test]
fn rows_that_are_put_are_read_with_their_nulls() {
    let schema = input::schema("desk.input").build().unwrap();
    let columns = input::Columns::of(&schema).unwrap();
    let key = input::Row {
        device: "keyboard",
        code: "KeyW",
        pressed: Some(true),
        dx: None,
        dy: None,
        wheel_x: None,
        wheel_y: None,
        injected: false,
    };
    let movement =
        input::Row { device: "mouse", code: "", pressed: None, dx: Some(-2.5), injected: true, ..key };
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(2);
    key.put(&mut builder.push_row(Timestamp(1)));
    movement.put(&mut builder.push_row(Timestamp(2)));
    let batch = builder.finish();
    let view = columns.view(&batch);
    assert_eq!(
        (view.device(0), view.code(0), view.pressed(0), view.dx(0)),
        ("keyboard", "KeyW", Some(true), None)
    );
    assert_eq!((view.device(1), view.pressed(1), view.dx(1), view.dy(1)), ("mouse", None, Some(-2.5), None));
    assert_eq!((view.injected(0), view.injected(1)), (false, true));
}

#[test]
fn a_kind_is_known_by_its_columns() {
    for &kind in Kind::ALL {
        let schema = kind.schema("s").build().unwrap();
        let names: Vec<&str> = schema.payload().iter().map(|field| field.name.as_str()).collect();
        assert_eq!((schema.kind(), Kind::of_columns(&names)), (kind, kind));
        assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
        assert_eq!(Kind::of_columns(&[names, vec!["more"]].concat()), Kind::Attributes);
    }
}

#[test]
fn a_stream_without_the_columns_of_its_kind_is_refused_with_the_column_named() {
    let error = terminal::Columns::of(&samples::schema(Kind::Event, "s")).unwrap_err();
    assert_eq!(error.message, "stream \"s\" is of kind \"event\", not \"terminal\"");
    let other = StreamSchema::builder("s", Kind::Event).field("type", DataType::Utf8);
    let other = other.field("player_id", DataType::Binary).build().unwrap();
    let error = event::Columns::of(&other).unwrap_err();
    assert_eq!(error.message, "stream \"s\" has no column \"player_id\" of type utf8");
    assert_eq!(error.kind, ErrorKind::Data);
}

#[test]
fn pictures_of_one_size_may_have_pixels_of_one_length() {
    let builder = StreamSchema::builder("camera", Kind::Image).field("pixels", DataType::FixedBinary(4));
    let builder = builder.field("width", DataType::UInt32).field("height", DataType::UInt32);
    let schema = builder.field("format", DataType::Utf8).build().unwrap();
    let columns = image::Columns::of(&schema).unwrap();
    let mut pool = BatchPool::new(schema);
    let mut builder = pool.builder(1);
    builder
        .push_row(Timestamp(1))
        .set_bytes(0, &[1, 2, 3, 4])
        .set(1, 1_u32)
        .set(2, 1_u32)
        .set_str(3, "bgra8");
    let batch: Batch = builder.finish();
    let view = columns.view(&batch);
    assert_eq!((view.width(0), view.height(0), view.pixels(0)), (1, 1, &[1, 2, 3, 4][..]));
    let format = image::PixelFormat::of(view.format(0)).unwrap();
    assert_eq!(format.bytes_per_point(), Some(view.pixels(0).len()));
}

#[test]
fn a_code_is_known_by_its_letter_and_a_size_by_its_text() {
    for code in terminal::Code::ALL {
        assert_eq!(terminal::Code::of(code.letter()), Some(code));
    }
    assert_eq!(terminal::Code::of("q"), None);
    let size = terminal::Size { columns: 80, rows: 24 };
    assert_eq!(terminal::Size::parse(size.to_string().as_bytes()), Some(size));
}
