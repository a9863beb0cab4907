//! Masks secrets in terminal streams (`redact`), and leaves out passwords that are typed without an echo.
//!
//! # Secrets
//!
//! What a pattern matches in the output or the input of a connection is masked: `*` for each character, line ends stay. A secret that
//! is split across frames is found as well: a row waits while its end could still become a match, and with it the rows behind it, because
//! rows stay in order. It waits for the next frame of its connection, but no longer than `hold_time` (and up to the engine's next flush
//! after that), and not for more than `hold_bytes_max` bytes that are undecided. A row that had to go on earlier is not forgotten: when
//! the match is complete after all, the rest of it is masked. Every row keeps its `seq` and timestamp.
//!
//! The built-in patterns: `keys` (private keys of PEM, OpenSSH and age, cloud access keys), `tokens` (of well-known services, JSON Web
//! Tokens, authorization headers) and `cards` (13 to 19 digits, in groups or not, with a valid check digit).
//!
//! A terminal is text to programs and a screen to people: a secret that a program writes with escape sequences or a line break of its
//! own inside is not found.
//!
//! # Passwords
//!
//! Input between an output that ends in a prompt for a password and the next Enter (or Ctrl-C or Ctrl-D) is left out; a row of which
//! nothing is left is left out too. A source that knows better says so with a frame of code `e`: `off` when what is typed is
//! not echoed, `on` when it is again. From the first such frame on the prompts of that connection are not looked at.

mod cards;
mod options;
mod password;
mod patterns;
mod prefix;
mod redact;
mod rows;
#[cfg(test)]
mod tests;
mod text;

use tapedeck_sdk::prelude::*;

pub use options::{Builtin, RedactOptions};

/// The `redact` transform.
#[must_use]
pub fn factory() -> Factory {
    Factory::transform::<redact::Redact>()
}
