//! Terminals and SSH sessions: what recording them costs, against asciinema, `script`, a bare terminal and OpenSSH's `sshd`. Knows
//! nothing of what is in a recording beyond how many bytes.

mod bulk;
mod crowd;
mod keystroke;
mod processes;
mod pty;
mod server;
mod text;
mod user;
mod writer;

use std::path::PathBuf;

pub(crate) use writer::write_paced;

use crate::{Figure, parts};

/// The figures. `TERMINALS=pty,keystroke` in the environment picks some of them.
pub(crate) fn measure() -> Vec<Figure> {
    parts(
        "TERMINALS",
        &[
            ("pty", pty::measure),
            ("keystroke", keystroke::measure),
            ("crowd", crowd::measure),
            ("bulk", bulk::measure),
        ],
    )
}

/// asciinema 3.2, built by `make peers`.
fn asciinema() -> PathBuf {
    let default = || {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(".tools/asciinema-3.2.0/bin/asciinema")
            .into_os_string()
    };
    let program = PathBuf::from(std::env::var_os("TAPEDECK_ASCIINEMA").unwrap_or_else(default));
    assert!(program.is_file(), "run `make peers` once: {}", program.display());
    program
}
