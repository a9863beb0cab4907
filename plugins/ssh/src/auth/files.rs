//! Parsers of the credential files: public keys, users with hashes, known hosts. Do no I/O; their
//! messages quote nothing of a line. Public for the fuzz target only.

use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::authorized_keys;
use russh::keys::ssh_key::known_hosts::{self, HostPatterns, Marker};
use russh::keys::{PublicKey, ssh_key};
use sha1::Sha1;
use tapedeck_sdk::names::glob_matches;

/// The highest bcrypt cost accepted: at 16 a check takes seconds already.
const BCRYPT_COST_MAX: u32 = 16;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line number, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// A password's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    /// PHC string, `$argon2id$v=19$…`.
    Argon2(String),
    /// `$2a$`, `$2b$` or `$2y$`, as `htpasswd -B` prints it.
    Bcrypt(String),
}

impl Hash {
    fn parse(text: &str) -> Option<Self> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|begin| text.starts_with(begin)) {
            let parts = bcrypt::HashParts::from_str(text).ok()?;
            let sound = (4..=BCRYPT_COST_MAX).contains(&parts.get_cost());
            return sound.then(|| Self::Bcrypt(text.to_owned()));
        }
        let hash = argon2::PasswordHash::new(text).ok()?;
        let sound = hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some();
        sound.then(|| Self::Argon2(text.to_owned()))
    }

    /// Verifies a password. Slow by design.
    #[must_use]
    pub fn is_of(&self, password: &str) -> bool {
        use argon2::password_hash::PasswordVerifier;
        match self {
            Self::Argon2(hash) => {
                argon2::Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok()
            }
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
        }
    }
}

/// Non-empty, non-comment lines, numbered from 1 on.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The library's message, without the word at fault.
fn reason(error: &ssh_key::Error) -> String {
    match error {
        ssh_key::Error::Encoding(ssh_key::encoding::Error::Label(_)) => "its type is not known".to_owned(),
        other => other.to_string(),
    }
}

/// The usable lines of a file, and what is wrong with the others.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    /// What the usable lines say.
    pub entries: Vec<T>,
    /// The lines that are skipped.
    pub faults: Vec<Fault>,
}

/// What stands for bytes that are not UTF-8.
const NOT_UTF8: char = char::REPLACEMENT_CHARACTER;

fn parse<T>(text: &str, entry: fn(usize, &str) -> Result<T, Fault>) -> Parsed<T> {
    let mut parsed = Parsed { entries: Vec::new(), faults: Vec::new() };
    for (line, text) in lines(text) {
        let parsed_line = if text.contains(NOT_UTF8) {
            let hint = "write the line in UTF-8";
            Err(Fault { line, what: "has bytes that are not UTF-8".to_owned(), hint })
        } else {
            entry(line, text)
        };
        match parsed_line {
            Ok(entry) => parsed.entries.push(entry),
            Err(fault) => parsed.faults.push(fault),
        }
    }
    parsed
}

/// The keys of an `authorized_keys` file. Skipped: lines that are not a public key, or have options
/// before the key.
///
/// # Errors
/// None; the signature is that of all credential files.
pub fn authorized_keys(text: &str) -> Result<Parsed<PublicKey>, Fault> {
    Ok(parse(text, authorized_key))
}

fn authorized_key(line: usize, text: &str) -> Result<PublicKey, Fault> {
    let entry: authorized_keys::Entry = text.parse().map_err(|error| Fault {
        line,
        what: format!("is not a public key ({})", reason(&error)),
        hint: "each line is the text of a `.pub` file",
    })?;
    if !entry.config_opts().is_empty() {
        // An ignored restriction would allow more than was meant.
        let what = "has options before the key, which are not kept here".to_owned();
        return Err(Fault { line, what, hint: "begin the line with the key's type" });
    }
    Ok(entry.public_key().clone())
}

/// The users of a password file, with their hashes. Skipped: lines that are not `user:hash`, and hashes
/// that are unknown or too expensive.
///
/// # Errors
/// None; the signature is that of all credential files.
pub fn passwords(text: &str) -> Result<Parsed<(String, Hash)>, Fault> {
    Ok(parse(text, password))
}

fn password(line: usize, text: &str) -> Result<(String, Hash), Fault> {
    // The line itself stays out of the message.
    let wrong = || Fault {
        line,
        what: "is not `user:hash`".to_owned(),
        hint: "the hash is what `argon2 some-salt -id -e` prints for the password, `$argon2id$v=19$…`, or `htpasswd -nB user`, \
               `$2y$…`, with a cost of 16 at most",
    };
    let (user, hash) = text.split_once(':').ok_or_else(wrong)?;
    let hash = Hash::parse(hash).ok_or_else(wrong)?;
    if user.is_empty() { Err(wrong()) } else { Ok((user.to_owned(), hash)) }
}

/// A line of a `known_hosts` file.
#[derive(Debug, Clone)]
pub struct KnownHost {
    patterns: HostPatterns,
    marker: Option<Marker>,
    key: PublicKey,
}

/// The lines of a `known_hosts` file. Skipped: lines that are not `names type key`.
///
/// # Errors
/// A `@revoked` line is not readable: skipped, it would make a revoked key trusted.
pub fn known_hosts(text: &str) -> Result<Parsed<KnownHost>, Fault> {
    let mut parsed = parse(text, known_host);
    let revokes = |fault: &Fault| {
        let line = text.lines().nth(fault.line - 1).unwrap_or_default();
        line.trim_start().to_ascii_lowercase().starts_with("@revoked")
    };
    match parsed.faults.iter().position(revokes) {
        Some(index) => Err(parsed.faults.swap_remove(index)),
        None => Ok(parsed),
    }
}

fn known_host(line: usize, text: &str) -> Result<KnownHost, Fault> {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let entry: known_hosts::Entry = plain.parse().map_err(|error| Fault {
        line,
        what: format!("is not a host with its key ({})", reason(&error)),
        hint: "each line is as `ssh-keyscan host` prints it",
    })?;
    Ok(KnownHost {
        patterns: entry.host_patterns().clone(),
        marker: entry.marker().copied(),
        key: entry.public_key().clone(),
    })
}

/// What is known of a host.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Keys the host may show.
    pub keys: Vec<PublicKey>,
    /// Revoked keys.
    pub revoked: Vec<PublicKey>,
}

impl Known {
    /// The entries for a host and port. Certificate authorities are ignored.
    #[must_use]
    pub fn of(hosts: &[KnownHost], host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        let mut known = Self::default();
        for entry in hosts.iter().filter(|entry| entry.is(&name)) {
            match entry.marker {
                None => known.keys.push(entry.key.clone()),
                Some(Marker::Revoked) => known.revoked.push(entry.key.clone()),
                Some(Marker::CertAuthority) => {}
            }
        }
        known
    }

    /// Whether the host may show this key.
    #[must_use]
    pub fn trusts(&self, key: &PublicKey) -> bool {
        let has = |keys: &[PublicKey]| keys.iter().any(|known| known.key_data() == key.key_data());
        has(&self.keys) && !has(&self.revoked)
    }
}

impl KnownHost {
    fn is(&self, name: &str) -> bool {
        match &self.patterns {
            HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|hmac| hmac.chain_update(name).verify_slice(hash).is_ok()),
            HostPatterns::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    let (not, pattern) = match pattern.strip_prefix('!') {
                        Some(pattern) => (true, pattern),
                        None => (false, pattern.as_str()),
                    };
                    if glob_matches(&pattern.to_ascii_lowercase(), name) {
                        if not {
                            return false;
                        }
                        found = true;
                    }
                }
                found
            }
        }
    }
}
