//! Frames of the other kinds, each a pure function of its row's number: enough for a sink to show that it can write them.

use std::io::Write as _;

use tapedeck_sdk::prelude::*;

/// Width and height of a picture.
pub(crate) const PICTURE: (u32, u32) = (16, 12);

/// Fills the rows that the builder holds; `first` is the number of the first one.
pub(crate) fn fill(builder: &mut BatchBuilder<'_>, kind: Kind, first: u64) {
    match kind {
        Kind::Attributes => {}
        Kind::Terminal => terminal(builder, first),
        Kind::Event => event(builder, first),
        Kind::Image => image(builder, first),
        Kind::Message => message(builder, first),
        Kind::Input => input(builder, first),
    }
}

/// Fills a column of text or bytes from each row's number.
fn each(
    builder: &mut BatchBuilder<'_>,
    column: usize,
    first: u64,
    write: impl Fn(u64, &mut Vec<u8>) -> bool,
) {
    builder.fill_variable(column, builder.rows(), |row, bytes| write(first + row as u64, bytes));
}

/// `connection` is `local`; a resize to `80x24` comes first, then lines of output and every tenth row a key pressed.
fn terminal(builder: &mut BatchBuilder<'_>, first: u64) {
    each(builder, 0, first, |_, bytes| bytes.write_all(b"local").is_ok());
    each(builder, 1, first, |row, bytes| {
        let code = if row == 0 {
            b"r"
        } else if row % 10 == 0 {
            b"i"
        } else {
            b"o"
        };
        bytes.write_all(code).is_ok()
    });
    each(builder, 2, first, |row, bytes| match row {
        0 => bytes.write_all(b"80x24").is_ok(),
        row if row % 10 == 0 => bytes.write_all(b"\r").is_ok(),
        row => write!(bytes, "\x1b[32mline {row}\x1b[0m\r\n").is_ok(),
    });
}

/// `tick`s of two players in turn; every tenth row has a `state`.
fn event(builder: &mut BatchBuilder<'_>, first: u64) {
    each(builder, 0, first, |_, bytes| bytes.write_all(b"tick").is_ok());
    each(builder, 1, first, |row, bytes| write!(bytes, "player{}", row % 2).is_ok());
    each(builder, 2, first, |row, bytes| write!(bytes, "{{\"row\":{row}}}").is_ok());
    each(builder, 3, first, |row, bytes| {
        row % 10 == 0 && write!(bytes, "{{\"score\":{}}}", row * 100).is_ok()
    });
}

/// An `rgb8` picture; every byte is the low byte of the row's number plus the byte's place.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is wanted")]
fn image(builder: &mut BatchBuilder<'_>, first: u64) {
    let (width, height) = PICTURE;
    builder.column_mut::<u32>(0).fill(width);
    builder.column_mut::<u32>(1).fill(height);
    each(builder, 2, first, |_, bytes| bytes.write_all(b"rgb8").is_ok());
    each(builder, 3, first, |row, bytes| {
        bytes.extend((0..u64::from(width * height * 3)).map(|place| (row + place) as u8));
        true
    });
}

/// JSON on four topics in turn.
fn message(builder: &mut BatchBuilder<'_>, first: u64) {
    each(builder, 0, first, |row, bytes| write!(bytes, "synthetic/{}", row % 4).is_ok());
    each(builder, 1, first, |_, bytes| bytes.write_all(b"json").is_ok());
    each(builder, 2, first, |row, bytes| write!(bytes, "{{\"row\":{row}}}").is_ok());
}

/// A key goes down and up again, then a mouse moves.
fn input(builder: &mut BatchBuilder<'_>, first: u64) {
    let moves = |row: u64| row % 3 == 2;
    each(builder, 0, first, |row, bytes| {
        write!(bytes, "{}", if moves(row) { "mouse" } else { "keyboard" }).is_ok()
    });
    each(builder, 1, first, |row, bytes| moves(row) || write!(bytes, "KeyW").is_ok());
    for row in 0..builder.rows() {
        let number = first + row as u64;
        if moves(number) {
            builder.set_null(2, row);
            builder.set(3, row, 1.5);
            builder.set(4, row, -0.5);
        } else {
            builder.set_bool(2, row, number.is_multiple_of(3));
            [3, 4].into_iter().for_each(|column| builder.set_null(column, row));
        }
        [5, 6].into_iter().for_each(|column| builder.set_null(column, row));
        builder.set_bool(7, row, false);
    }
}
