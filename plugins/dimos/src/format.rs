//! Databases of dimos', seen from the reading side.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags};
use tapedeck_kit::tracks::Tracks;
use tapedeck_sdk::prelude::*;

use crate::database::{self, Beside, MAGIC, failed, has_table};
use crate::shape::{Table, foreign};
use crate::track::{Track, uses};

/// The most streams that are read.
const TABLES_MAX: usize = 4096;

/// SQLite recordings of dimos.
pub struct DimosFormat;

impl Format for DimosFormat {
    fn name(&self) -> &'static str {
        "dimos"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["db"]
    }

    fn matches(&self, head: &[u8], path: &Path) -> bool {
        let has_streams = |connection: Connection| has_table(&connection, "_streams").unwrap_or(false);
        head.starts_with(MAGIC) && database::open(path).is_ok_and(has_streams)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let connection = database::open(path)?;
        let said = look(&connection).map_err(|error| failed("read the recording", path, &error))?;
        let Some(Said { ours, tables }) = said else {
            return Err(Error::data(format!("not a recording of dimos: {}", path.display())).with_hint(
                "a recording of dimos has a table `_streams` with the columns `name` and `config`",
            ));
        };
        let mut streams: Vec<(Arc<StreamSchema>, Vec<Table>)> =
            ours.into_iter().map(|schema| (Arc::new(schema), Vec::new())).collect();
        for table in tables {
            let same =
                |(schema, _): &&mut (Arc<StreamSchema>, Vec<Table>)| table.schema.as_ref() == Some(&**schema);
            match (streams.iter_mut().find(same), &table.schema) {
                (Some((_, tables)), _) => tables.push(table),
                (None, Some(schema)) => streams.push((Arc::new(schema.clone()), vec![table])),
                (None, None) => {
                    let uses = uses(&connection, &table.name);
                    let uses = uses.map_err(|error| failed("read the recording", path, &error))?;
                    streams.push((foreign(&table, uses)?, vec![table]));
                }
            }
        }
        let connection = Arc::new(Mutex::new(connection));
        let track = |(schema, tables)| Track::open(&connection, path, schema, tables);
        Ok(Box::new(Tracks::new(streams.into_iter().map(track).collect::<Result<_, _>>()?)))
    }

    /// What stands in a log beside the file after a kill becomes part of it.
    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        let wal = path.with_added_extension_of("-wal");
        let has_log = wal.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() > 0);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let path = path.canonicalize().map_err(|error| Error::io("open the recording", path, &error))?;
        let checked = if has_log {
            Connection::open_with_flags(&path, flags).and_then(|connection| {
                connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
                check(&connection)
            })
        } else {
            return match database::open(&path).map(|connection| check(&connection)) {
                Ok(Ok(None)) => Ok(Repair::Intact),
                Ok(Ok(Some(what))) => Ok(Repair::Unreadable(what)),
                Ok(Err(error)) => Ok(Repair::Unreadable(error.to_string())),
                Err(error) if error.kind == ErrorKind::Data => Ok(Repair::Unreadable(error.message)),
                Err(error) => Err(error),
            };
        };
        match checked {
            Ok(None) => Ok(Repair::Mended("took in what the log beside it has".to_owned())),
            Ok(Some(what)) => Ok(Repair::Unreadable(what)),
            Err(error) => match failed("mend the recording", &path, &error) {
                error if error.kind == ErrorKind::Data => Ok(Repair::Unreadable(error.message)),
                error => Err(error),
            },
        }
    }
}

/// What is wrong with a database; none if nothing is.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(format!("damaged: {found}")));
    }
    Ok((!has_table(connection, "_streams")?).then(|| "not a recording of dimos".to_owned()))
}

/// What a database says of its streams.
struct Said {
    /// Those of ours, in their order, also those without a frame.
    ours: Vec<StreamSchema>,
    tables: Vec<Table>,
}

fn look(connection: &Connection) -> rusqlite::Result<Option<Said>> {
    if !has_table(connection, "_streams")? {
        return Ok(None);
    }
    let mut ours = Vec::new();
    if has_table(connection, "_tapedeck")? {
        let sql = "SELECT value FROM _tapedeck WHERE key LIKE 'stream.%' ORDER BY key";
        let mut statement = connection.prepare(sql)?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
        for text in texts.take(TABLES_MAX) {
            ours.extend(serde_json::from_str::<StreamSchema>(&text?));
        }
    }
    let mut statement = connection.prepare("SELECT name, config FROM _streams ORDER BY rowid")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut tables = Vec::new();
    for row in rows.take(TABLES_MAX) {
        let (name, config) = row?;
        // One that was entered and never used has no table.
        if has_table(connection, &name)? {
            tables.push(Table::read(&name, &config));
        }
    }
    Ok(Some(Said { ours, tables }))
}
