//! The authenticator: public keys and password hashes. Does not know connections; quotes nothing of
//! its files.

mod credential_file;
pub(crate) mod failures;
pub mod files;
pub(crate) mod keys;

use std::sync::Arc;

use russh::keys::PublicKey;
use tapedeck_sdk::{Error, Host};

pub(crate) use self::credential_file::CredentialFile;
use crate::auth::files::Hash;
use crate::options::SshOptions;

/// A hash of no known password, for an empty password file.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5aGFzdGhpcw$V2XjEhQ0H4sJpTqGZ2rq6yDq0y1tqS8rj7b0pT7c0vQ";

/// Authenticates clients by files that are read at each login.
pub(crate) struct Authenticator {
    authorized_keys: Option<CredentialFile<PublicKey>>,
    passwords: Option<CredentialFile<(String, Hash)>>,
}

impl Authenticator {
    /// Reads the files once, so that errors show before the first login.
    pub(crate) fn new(options: &SshOptions, host: &Arc<dyn Host>) -> Result<Self, Error> {
        let authorized_keys = options.authorized_keys.as_ref().map(|path| {
            CredentialFile::open("the keys", path, files::authorized_keys, host.clone())
                .map_err(|error| error.at_option(["authorized_keys"]))
        });
        let passwords = options.passwords.as_ref().map(|path| {
            CredentialFile::open("the passwords", path, files::passwords, host.clone())
                .map_err(|error| error.at_option(["passwords"]))
        });
        Ok(Self { authorized_keys: authorized_keys.transpose()?, passwords: passwords.transpose()? })
    }

    pub(crate) fn accepts_keys(&self) -> bool {
        self.authorized_keys.is_some()
    }

    pub(crate) fn accepts_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Whether the file has this key.
    pub(crate) fn authorizes_key(&self, key: &PublicKey) -> Result<bool, Error> {
        let Some(file) = &self.authorized_keys else { return Ok(false) };
        Ok(file.entries()?.iter().any(|known| known.key_data() == key.key_data()))
    }

    /// Verifies a user's password. Slow, and takes memory, by design.
    pub(crate) fn verifies_password(&self, user: &str, password: &str) -> Result<bool, Error> {
        let Some(file) = &self.passwords else { return Ok(false) };
        Ok(verifies(&file.entries()?, user, password))
    }
}

fn verifies(users: &[(String, Hash)], user: &str, password: &str) -> bool {
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
