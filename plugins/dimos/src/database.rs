//! Databases of others are opened so that nothing in them is believed: no view is asked, no function of theirs is called, and no value is
//! larger than can be held.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tapedeck_sdk::{Error, ErrorKind};

/// The most bytes of a value.
const VALUE_BYTES_MAX: i32 = 256 << 20;

/// What SQLite files begin with.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";

/// An error of SQLite's.
pub(crate) fn failed(doing: &str, path: &Path, error: &rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::TooBig) | None => {
            ErrorKind::Data
        }
        Some(_) => ErrorKind::Io,
    };
    Error::new(kind, format!("can't {doing}: {error}: {}", path.display()))
}

/// Opens a recording for reading. Without a log beside it nothing is made or changed.
pub(crate) fn open(path: &Path) -> Result<Connection, Error> {
    let refused = |error: &rusqlite::Error| failed("open the recording", path, error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte))
            }
            other => write!(uri, "%{other:02x}").unwrap_or_default(),
        }
    }
    // What a kill has left beside it belongs to it.
    let has_log = ["-wal", "-journal"]
        .iter()
        .any(|end| path.with_added_extension_of(end).metadata().is_ok_and(|found| found.len() > 0));
    if !has_log {
        uri.push_str("?immutable=1");
    }
    let connection = Connection::open_with_flags(&uri, flags).map_err(|error| refused(&error))?;
    let secure = || {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    };
    secure().map_err(|error: rusqlite::Error| refused(&error))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Whether there is a table of that name, and not something that only looks like one.
pub(crate) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql =
        "SELECT count(*) FROM sqlite_master WHERE name = ?1 AND type = 'table' AND sql LIKE 'CREATE TABLE%'";
    connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).map(|count| count == 1)
}

/// A name within a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names of files beside a database.
pub(crate) trait Beside {
    fn with_added_extension_of(&self, end: &str) -> std::path::PathBuf;
}

impl Beside for Path {
    fn with_added_extension_of(&self, end: &str) -> std::path::PathBuf {
        let mut name = self.as_os_str().to_owned();
        name.push(end);
        name.into()
    }
}
