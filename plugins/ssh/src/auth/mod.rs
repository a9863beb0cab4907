//! Who gets in: the keys and the passwords' hashes. Knows nothing of connections, and says nothing of what it has read.

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

/// The hash of no password that anybody knows, for where there is nobody at all.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5aGFzdGhpcw$V2XjEhQ0H4sJpTqGZ2rq6yDq0y1tqS8rj7b0pT7c0vQ";

/// The files that say who gets in.
#[derive(Debug, Clone)]
pub(crate) struct Authenticator {
    authorized_keys: Option<PathBuf>,
    passwords: Option<PathBuf>,
}

impl Authenticator {
    /// Reads the files once, so that what is wrong with them is known before anybody knocks.
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

    /// Whether this key is in the file.
    pub(crate) fn authorizes_key(&self, key: &PublicKey) -> Result<bool, Error> {
        let Some(path) = &self.authorized_keys else { return Ok(false) };
        let keys = read("the keys", path, files::authorized_keys)?;
        Ok(keys.iter().any(|known| known.key_data() == key.key_data()))
    }

    /// Whether this is the user's password. Takes a while and some memory: that is what the hash is for.
    pub(crate) fn verifies_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        let Some(path) = &self.passwords else { return Ok(false) };
        Ok(admits(&read("the passwords", path, files::passwords)?, user, password))
    }
}

fn admits(users: &[(String, Hash)], user: &str, password: &str) -> bool {
    match users.iter().find(|(name, _)| name == user) {
        Some((_, hash)) => hash.is_of(password),
        None => {
            // An unknown user takes as long to refuse as a known one: as somebody of the file, always the same for the same name, so that
            // neither the kind of the hash nor its cost tells who is in it.
            let nobody = Hash::Argon2(NOBODY.to_owned());
            let place =
                user.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            let somebody = users.get(place % users.len().max(1)).map_or(&nobody, |(_, hash)| hash);
            _ = somebody.is_of(password);
            false
        }
    }
}

/// Reads a file that nobody else can write, and says where in it what is wrong.
pub(crate) fn read<T>(what: &str, path: &Path, parse: impl Fn(&str) -> Result<T, Fault>) -> Result<T, Error> {
    let failed = |error: std::io::Error| Error::io(&format!("read {what}"), path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let owners = [0, rustix::process::geteuid().as_raw()];
    // As OpenSSH's `StrictModes`: who can write the file says who gets in.
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
