//! A client's terminal modes (RFC 4254, section 8), applied to the session's terminal.

use std::io;
use std::os::fd::AsFd;

use russh::Pty;
use rustix::termios::{InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios};

/// Control characters. Disabled is 255 in SSH and 0 on Linux.
const KEYS: [(Pty, SpecialCodeIndex); 12] = [
    (Pty::VINTR, SpecialCodeIndex::VINTR),
    (Pty::VQUIT, SpecialCodeIndex::VQUIT),
    (Pty::VERASE, SpecialCodeIndex::VERASE),
    (Pty::VKILL, SpecialCodeIndex::VKILL),
    (Pty::VEOF, SpecialCodeIndex::VEOF),
    (Pty::VEOL, SpecialCodeIndex::VEOL),
    (Pty::VSTART, SpecialCodeIndex::VSTART),
    (Pty::VSTOP, SpecialCodeIndex::VSTOP),
    (Pty::VSUSP, SpecialCodeIndex::VSUSP),
    (Pty::VREPRINT, SpecialCodeIndex::VREPRINT),
    (Pty::VWERASE, SpecialCodeIndex::VWERASE),
    (Pty::VLNEXT, SpecialCodeIndex::VLNEXT),
];

const INPUT: [(Pty, InputModes); 9] = [
    (Pty::ISTRIP, InputModes::ISTRIP),
    (Pty::INLCR, InputModes::INLCR),
    (Pty::IGNCR, InputModes::IGNCR),
    (Pty::ICRNL, InputModes::ICRNL),
    (Pty::IXON, InputModes::IXON),
    (Pty::IXANY, InputModes::IXANY),
    (Pty::IXOFF, InputModes::IXOFF),
    (Pty::IMAXBEL, InputModes::IMAXBEL),
    (Pty::IUTF8, InputModes::IUTF8),
];

const LOCAL: [(Pty, LocalModes); 10] = [
    (Pty::ISIG, LocalModes::ISIG),
    (Pty::ICANON, LocalModes::ICANON),
    (Pty::ECHO, LocalModes::ECHO),
    (Pty::ECHOE, LocalModes::ECHOE),
    (Pty::ECHOK, LocalModes::ECHOK),
    (Pty::ECHONL, LocalModes::ECHONL),
    (Pty::NOFLSH, LocalModes::NOFLSH),
    (Pty::TOSTOP, LocalModes::TOSTOP),
    (Pty::IEXTEN, LocalModes::IEXTEN),
    (Pty::ECHOCTL, LocalModes::ECHOCTL),
];

const OUTPUT: [(Pty, OutputModes); 5] = [
    (Pty::OPOST, OutputModes::OPOST),
    (Pty::ONLCR, OutputModes::ONLCR),
    (Pty::OCRNL, OutputModes::OCRNL),
    (Pty::ONOCR, OutputModes::ONOCR),
    (Pty::ONLRET, OutputModes::ONLRET),
];

/// Sets the modes a client sends. Others, and unknown ones, stay.
pub(crate) fn set(terminal: &impl AsFd, modes: &[(Pty, u32)]) -> io::Result<()> {
    let mut now = rustix::termios::tcgetattr(terminal)?;
    for &(mode, value) in modes {
        put(&mut now, mode, value);
    }
    Ok(rustix::termios::tcsetattr(terminal, OptionalActions::Now, &now)?)
}

fn put(now: &mut Termios, mode: Pty, value: u32) {
    fn find<T: Copy>(table: &[(Pty, T)], mode: Pty) -> Option<T> {
        table.iter().find(|(known, _)| *known == mode).map(|(_, found)| *found)
    }
    if let Some(key) = find(&KEYS, mode) {
        now.special_codes[key] = u8::try_from(value).ok().filter(|&code| code != u8::MAX).unwrap_or(0);
    }
    if let Some(flag) = find(&INPUT, mode) {
        now.input_modes.set(flag, value != 0);
    }
    if let Some(flag) = find(&LOCAL, mode) {
        now.local_modes.set(flag, value != 0);
    }
    if let Some(flag) = find(&OUTPUT, mode) {
        now.output_modes.set(flag, value != 0);
    }
}
