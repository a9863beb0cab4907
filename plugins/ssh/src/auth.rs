//! Who gets in: the keys and the passwords' hashes. Knows nothing of connections, and says nothing of what it has read.

use std::path::{Path, PathBuf};

use argon2::password_hash::PasswordVerifier;
use russh::keys::PublicKey;
use russh::keys::ssh_key::AuthorizedKeys;
use tapedeck_sdk::Error;

use crate::options::SshOptions;

/// The hash of no password that anybody knows: an unknown user takes as long to refuse as a known one.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5aGFzdGhpcw$V2XjEhQ0H4sJpTqGZ2rq6yDq0y1tqS8rj7b0pT7c0vQ";

/// The files that say who gets in.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    authorized_keys: Option<PathBuf>,
    passwords: Option<PathBuf>,
}

impl Door {
    /// Reads the files once, so that what is wrong with them is known before anybody knocks.
    pub(crate) fn new(options: &SshOptions) -> Result<Self, Error> {
        let door =
            Self { authorized_keys: options.authorized_keys.clone(), passwords: options.passwords.clone() };
        if let Some(path) = &door.authorized_keys {
            keys(path).map_err(|error| error.at_option(["authorized_keys"]))?;
        }
        if let Some(path) = &door.passwords {
            hashes(path).map_err(|error| error.at_option(["passwords"]))?;
        }
        Ok(door)
    }

    pub(crate) fn takes_keys(&self) -> bool {
        self.authorized_keys.is_some()
    }

    pub(crate) fn takes_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Whether this key is in the file.
    pub(crate) fn admits_key(&self, key: &PublicKey) -> Result<bool, Error> {
        let Some(path) = &self.authorized_keys else { return Ok(false) };
        Ok(keys(path)?.iter().any(|known| known.key_data() == key.key_data()))
    }

    /// Whether this is the user's password. Takes a while and 19 MiB: that is what the hash is for.
    pub(crate) fn admits_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        let Some(path) = &self.passwords else { return Ok(false) };
        let hashes = hashes(path)?;
        let known = hashes.iter().find(|(name, _)| name == user);
        let hash = known.map_or(NOBODY, |(_, hash)| hash);
        let right = argon2::Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
        Ok(right && known.is_some())
    }
}

fn keys(path: &Path) -> Result<Vec<PublicKey>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read the keys", path, &error))?;
    AuthorizedKeys::new(&text)
        .map(|entry| {
            let entry = entry.map_err(|error| {
                Error::environment(format!(
                    "there is a line that is no public key ({error}): {}",
                    path.display()
                ))
                .with_hint("Each line is the text of a `.pub` file.")
            })?;
            if !entry.config_opts().is_empty() {
                // A restriction that is not kept would let somebody do more than was meant.
                let message =
                    format!("a key has options before it, which are not kept here: {}", path.display());
                return Err(Error::environment(message).with_hint("Begin the line with the key's type."));
            }
            Ok(entry.public_key().clone())
        })
        .collect()
}

fn hashes(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::io("read the passwords", path, &error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            // The line itself is nobody's business.
            let wrong = || {
                let message = format!("line {} is not `user:hash`: {}", index + 1, path.display());
                Error::environment(message).with_hint(
                    "The hash is what `argon2 some-salt -id -e` prints for the password: `$argon2id$v=19$…`.",
                )
            };
            let (user, hash) = line.split_once(':').ok_or_else(wrong)?;
            let sound = argon2::PasswordHash::new(hash)
                .is_ok_and(|parsed| parsed.algorithm.as_str().starts_with("argon2") && parsed.hash.is_some());
            if user.is_empty() || !sound {
                return Err(wrong());
            }
            Ok((user.to_owned(), hash.to_owned()))
        })
        .collect()
}
