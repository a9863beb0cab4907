//! The authenticator: public keys and password hashes. Does not know connections; quotes nothing of
//! its files.

pub(crate) mod failures;
pub mod files;
pub(crate) mod keys;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;
use tapedeck_sdk::Error;

use crate::auth::files::{Fault, Hash};
use crate::options::SshOptions;

/// A hash of no known password, for an empty password file.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5aGFzdGhpcw$V2XjEhQ0H4sJpTqGZ2rq6yDq0y1tqS8rj7b0pT7c0vQ";

/// Authenticates clients by files that are read at each login.
#[derive(Debug, Clone)]
pub(crate) struct Authenticator {
    authorized_keys: Option<PathBuf>,
    passwords: Option<PathBuf>,
}

impl Authenticator {
    /// Reads the files once, so that errors show before the first login.
    pub(crate) fn new(options: &SshOptions) -> Result<Self, Error> {
        let authenticator =
            Self { authorized_keys: options.authorized_keys.clone(), passwords: options.passwords.clone() };
        if let Some(path) = &authenticator.authorized_keys {
            read("the keys", path, files::authorized_keys)
                .map_err(|error| error.at_option(["authorized_keys"]))?;
        }
        if let Some(path) = &authenticator.passwords {
            read("the passwords", path, files::passwords).map_err(|error| error.at_option(["passwords"]))?;
        }
        Ok(authenticator)
    }

    pub(crate) fn accepts_keys(&self) -> bool {
        self.authorized_keys.is_some()
    }

    pub(crate) fn accepts_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Whether the file has this key.
    pub(crate) fn authorizes_key(&self, key: &PublicKey) -> Result<bool, Error> {
        let Some(path) = &self.authorized_keys else { return Ok(false) };
        let keys = read("the keys", path, files::authorized_keys)?;
        Ok(keys.iter().any(|known| known.key_data() == key.key_data()))
    }

    /// Verifies a user's password. Slow, and takes memory, by design.
    pub(crate) fn verifies_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        let Some(path) = &self.passwords else { return Ok(false) };
        Ok(admits(&read("the passwords", path, files::passwords)?, user, password))
    }
}

fn admits(users: &[(String, Hash)], user: &str, password: &str) -> bool {
    match users.iter().find(|(name, _)| name == user) {
        Some((_, hash)) => hash.is_of(password),
        None => {
            // An unknown user costs as much as a known one: verified against a hash of the file,
            // the same one for the same name, so that timing tells neither who exists nor the kind
            // of hash.
            let nobody = Hash::Argon2(NOBODY.to_owned());
            let place =
                user.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            let somebody = users.get(place % users.len().max(1)).map_or(&nobody, |(_, hash)| hash);
            _ = somebody.is_of(password);
            false
        }
    }
}

/// Reads a file that only its owner can write; errors name the line.
pub(crate) fn read<T>(what: &str, path: &Path, parse: impl Fn(&str) -> Result<T, Fault>) -> Result<T, Error> {
    let failed = |error: std::io::Error| Error::io(&format!("read {what}"), path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let owners = [0, rustix::process::geteuid().as_raw()];
    // As OpenSSH's `StrictModes`: whoever can write the file decides who logs in.
    for (wrong, fault, hint) in [
        (metadata.mode() & 0o022 != 0, "others can write", "Take it from them with `chmod go-w`."),
        (
            !owners.contains(&metadata.uid()),
            "somebody else owns",
            "Give it to whom Tapedeck runs as, or to root, with `chown`.",
        ),
    ] {
        if wrong {
            let message = format!("{fault} the file of {what}: {}", path.display());
            return Err(Error::environment(message).with_hint(hint));
        }
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    parse(&text).map_err(|fault| {
        let message = format!("line {} {}: {}", fault.line, fault.what, path.display());
        Error::environment(message).with_hint(fault.hint)
    })
}
