//! Tapedeck's own private keys: the host key, made on the first start, and the key for an upstream
//! host. Does not know their use.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{self, HashAlg, PrivateKey};
use tapedeck_sdk::{Error, Host};

/// Loads the host key, or makes one if the file does not exist.
pub(crate) fn load_or_make(path: &Path, host: &dyn Host) -> Result<PrivateKey, Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let message = format!("others can read the host key: {}", path.display());
            Err(Error::environment(message)
                .with_hint("take it from them with `chmod 600`, or delete it to have a new one made if they may have read it")
                .at_option(["host_key"]))
        }
        Ok(_) => load("the host key", path).map_err(|error| error.at_option(["host_key"])),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path, host),
        Err(error) => Err(Error::io("look at the host key", path, &error).at_option(["host_key"])),
    }
}

/// Loads an existing private key.
pub(crate) fn load_own(path: &Path) -> Result<PrivateKey, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::io("look at the key", path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::environment(format!("others can read the key: {}", path.display()))
            .with_hint("take it from them with `chmod 600`"));
    }
    load("the key", path)
}

fn load(what: &str, path: &Path) -> Result<PrivateKey, Error> {
    keys::load_secret_key(path, None).map_err(|error| {
        let why = match error {
            keys::Error::KeyIsEncrypted => "it has a passphrase".to_owned(),
            error => error.to_string(),
        };
        Error::environment(format!("can't read {what}: {why}: {}", path.display())).with_hint(
            "it must be a private key without a passphrase, as `ssh-keygen -t ed25519 -N ''` makes it",
        )
    })
}

fn make(path: &Path, host: &dyn Host) -> Result<PrivateKey, Error> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::environment(format!("can't make a host key: {error}: {}", path.display()))
            .with_hint("name a `host_key` in an existing folder that can be written")
            .at_option(["host_key"])
    };
    let mut seed = [0; 32];
    let filled = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
    if filled.map_err(|error| failed(&error))? != seed.len() {
        return Err(failed(&"the system has too little randomness"));
    }
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "tapedeck").map_err(|error| failed(&error))?;
    let text = key.to_openssh(LineEnding::LF).map_err(|error| failed(&error))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| failed(&error))?;
    host.warn(&format!("made a new host key, {}: {}", key.fingerprint(HashAlg::Sha256), path.display()));
    Ok(key)
}
