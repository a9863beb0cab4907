//! A program with 1 MB of output a second, in pieces of 10 kB. Each line tells when its piece was written. The figures start themselves
//! as this program, over SSH.

use std::io::Write as _;

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

/// Bytes of a line, its end included.
pub(super) const LINE_BYTES: usize = 100;

/// Lines of a piece.
pub(super) const PIECE_LINES: usize = 100;

/// Pieces in a second.
pub(super) const PIECES_HZ: u64 = 100;

/// Digits of a time in a line. Fewer than a payment card's number has: nothing is to be masked.
pub(super) const DIGITS: usize = 12;

/// Microseconds of a clock that all processes share.
pub(super) fn now_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1000).unwrap_or(0)
}

/// Writes for so many seconds, from that time on.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn write_paced(start_us: u64, seconds: u64) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    let mut piece = Vec::with_capacity(LINE_BYTES * PIECE_LINES);
    for number in 0..seconds * PIECES_HZ {
        let due = i64::try_from(start_us + number * (1_000_000 / PIECES_HZ)).unwrap_or(i64::MAX);
        let request = Timespec { tv_sec: due / 1_000_000, tv_nsec: due % 1_000_000 * 1000 };
        while clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() {}
        piece.clear();
        let now = now_us();
        for line in 0..PIECE_LINES {
            let begin = piece.len();
            write!(piece, "{now:0DIGITS$} \x1b[32mpiece\x1b[0m {number} line {line} ")?;
            piece.resize(begin + LINE_BYTES - 1, b'a' + u8::try_from(line % 26).unwrap_or(0));
            piece.push(b'\n');
        }
        output.write_all(&piece)?;
        output.flush()?;
    }
    Ok(())
}
