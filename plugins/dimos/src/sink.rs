//! Writes streams into a database that dimos opens: a transaction from flush to flush, so that a kill costs what came after the last one.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params, params_from_iter, types::Value};
use tapedeck_kit::pickle::{Encoder, Id, Pickle, Value as Pickled, cells};
use tapedeck_kit::seconds;
use tapedeck_sdk::kinds::message;
use tapedeck_sdk::prelude::*;

use crate::database::{failed, quoted};
use crate::names::{POSE, SENSOR_TIME, SENSOR_TIME_TAG, identifier, of_topic};
use crate::shape::{CLASS_KEY, Payload, Table, is_plain};

/// The most streams of dimos' in a file.
const TABLES_MAX: usize = 4096;
/// The protocol of pickles that we make.
const PROTOCOL: u8 = 5;

/// Options of the `dimos` sink.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DimosOptions {
    /// The file, inside the session folder. Default: the sink's id with the extension `db`.
    #[serde(default)]
    path: Option<PathBuf>,
}

/// Where the optional columns of messages are.
#[derive(Debug, Clone, Default)]
struct Extras {
    schema: Option<usize>,
    value: Option<usize>,
    tags: Option<usize>,
    sensor_time: Option<usize>,
    pose: Option<[usize; 7]>,
}

impl Extras {
    fn of(schema: &StreamSchema) -> Self {
        let pose: Option<Vec<usize>> = POSE.iter().map(|name| schema.payload_index(name)).collect();
        Self {
            schema: schema.payload_index("schema"),
            value: schema.payload_index("value"),
            tags: schema.payload_index("tags"),
            sensor_time: schema.payload_index(SENSOR_TIME),
            pose: pose.and_then(|pose| pose.try_into().ok()),
        }
    }
}

/// A message's topic, encoding and type.
type Key = (String, String, Option<String>);

/// One input stream.
struct Input {
    schema: Arc<StreamSchema>,
    /// The columns of messages that have a place in observations.
    message: Option<(message::Columns, Extras)>,
    /// The tables of messages, by what they are of; one under the empty key for rows.
    tables: HashMap<Key, Statements>,
}

/// What is asked of the database for each row of a table.
#[derive(Clone)]
struct Statements {
    payload: Payload,
    row: String,
    blob: String,
    rtree: Option<String>,
}

/// Writes one database.
pub(crate) struct DimosSink {
    path: PathBuf,
    connection: Connection,
    inputs: Vec<Input>,
    names: HashSet<String>,
    in_transaction: bool,
    host: Arc<dyn Host>,
}

/// What an observation has besides its id and time.
#[derive(Default)]
struct Observation {
    value: Option<Value>,
    pose: Option<[f64; 7]>,
    tags: Option<String>,
    blob: Option<Vec<u8>>,
}

impl DimosSink {
    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed("write frames", &self.path, error)
            .with_hint("what was flushed before is whole and can be read")
    }

    /// Writes a row. The inner error says why it is refused.
    fn take(&mut self, input: usize, batch: &Batch, row: usize) -> Result<Result<(), Error>, Error> {
        let Some(id) = i64::try_from(batch.seq()[row]).ok().and_then(|seq| seq.checked_add(1)) else {
            return Ok(Err(Error::data("frames with so large a number are left out")));
        };
        let (key, observation) = match self.observation(input, batch, row) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if !self.inputs[input].tables.contains_key(&key) {
            if self.names.len() >= TABLES_MAX {
                let message = format!(
                    "messages of more topics are left out: a file has {TABLES_MAX} streams at the most"
                );
                return Ok(Err(Error::data(message)));
            }
            let made = self.make(input, &key).map_err(|error| self.failed(&error))?;
            self.inputs[input].tables.insert(key.clone(), made);
        }
        let Some(table) = self.inputs[input].tables.get(&key) else { return Ok(Ok(())) };
        let ts = seconds::to_seconds(Timestamp(batch.timestamps()[row]));
        let written = write(&self.connection, table, id, ts, observation);
        written.map(Ok).map_err(|error| self.failed(&error))
    }

    /// What a row is as an observation, and which table it goes to.
    fn observation(&self, input: usize, batch: &Batch, row: usize) -> Result<(Key, Observation), Error> {
        let Input { schema, message, .. } = &self.inputs[input];
        let Some((columns, extras)) = message else {
            let blob = Some(dict(schema, batch, row)?);
            return Ok((Key::default(), Observation { blob, ..Observation::default() }));
        };
        let view = columns.view(batch);
        let column = |index: Option<usize>| {
            index.map(|index| batch.column(index)).filter(|column| !column.is_null(row))
        };
        let kind = column(extras.schema).map(|column| column.str_at(row).to_owned());
        let value = column(extras.value).map(|column| match column.data_type() {
            DataType::Int64 => Value::Integer(column.values::<i64>()[row]),
            _ => Value::Real(column.values::<f64>()[row]),
        });
        // A number stands in its row: there is no payload then.
        let blob =
            if value.is_some() && view.data(row).is_empty() { None } else { Some(view.data(row).to_vec()) };
        let pose = extras.pose.filter(|pose| pose.iter().all(|&column| !batch.column(column).is_null(row)));
        let observation = Observation {
            value,
            pose: pose.map(|pose| pose.map(|column| batch.column(column).values::<f64>()[row])),
            tags: tags(
                column(extras.tags).map(|column| column.str_at(row)),
                column(extras.sensor_time).map(|column| column.values::<i64>()[row]),
            ),
            blob,
        };
        Ok(((view.topic(row).to_owned(), view.encoding(row).to_owned(), kind), observation))
    }

    /// Makes the tables of a stream of dimos' and enters it.
    fn make(&mut self, input: usize, key: &Key) -> rusqlite::Result<Statements> {
        let Input { schema, message, .. } = &self.inputs[input];
        let (topic, encoding, kind) = key;
        let wanted = match (message, of_topic(topic).0) {
            (Some(_), name) if !name.trim_matches('/').is_empty() => identifier(name),
            _ => identifier(schema.name()),
        };
        let name = free_name(&self.names, &wanted);
        let table = match message {
            Some(_) => Table::of_message(
                name.clone(),
                (topic, encoding, kind.as_deref()),
                schema.metadata().get(CLASS_KEY),
            ),
            None => Table::of_rows(name.clone()),
        };
        let posed = message.as_ref().is_some_and(|(_, extras)| extras.pose.is_some());
        let (own, blob, rtree) =
            (quoted(&name), quoted(&format!("{name}_blob")), quoted(&format!("{name}_rtree")));
        self.connection.execute_batch(&format!(
            "CREATE TABLE {own} (id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, value NUMERIC, pose_x REAL, pose_y REAL, \
             pose_z REAL, pose_qx REAL, pose_qy REAL, pose_qz REAL, pose_qw REAL, tags BLOB DEFAULT (jsonb('{{}}')));
             CREATE VIRTUAL TABLE {rtree} USING rtree(id, x_min, x_max, y_min, y_max, z_min, z_max);
             CREATE TABLE {blob} (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
        ))?;
        self.connection.execute(
            "INSERT INTO _streams (name, config) VALUES (?1, ?2)",
            params![name, table.config(schema)],
        )?;
        self.names.insert(name.to_lowercase());
        Ok(Statements {
            payload: table.payload,
            row: format!(
                "INSERT INTO {own} (id, ts, value, pose_x, pose_y, pose_z, pose_qx, pose_qy, pose_qz, pose_qw, tags) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, jsonb(?11))"
            ),
            blob: format!("INSERT INTO {blob} (id, data) VALUES (?1, ?2)"),
            rtree: posed.then(|| {
                format!("INSERT INTO {rtree} (id, x_min, x_max, y_min, y_max, z_min, z_max) VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?4)")
            }),
        })
    }

    fn begin(&mut self) -> Result<(), Error> {
        if !self.in_transaction {
            self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.failed(&error))?;
            self.in_transaction = true;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.in_transaction) {
            self.connection.execute_batch("COMMIT").map_err(|error| {
                // A transaction that can't be ended would swallow all that comes.
                drop(self.connection.execute_batch("ROLLBACK"));
                self.failed(&error)
            })?;
        }
        Ok(())
    }

    /// Enters what is known of the session.
    fn note(&self, key: &str, value: &str) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO _tapedeck (key, value) VALUES (?1, ?2)";
        self.connection.execute(sql, params![key, value]).map(drop).map_err(|error| self.failed(&error))
    }
}

/// A name that no stream of the file has. SQLite does not tell case.
fn free_name(taken: &HashSet<String>, wanted: &str) -> String {
    let numbered = (2..).map(|number| format!("{wanted}_{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or_default()
}

/// A row as a pickled dict.
fn dict(schema: &StreamSchema, batch: &Batch, row: usize) -> Result<Vec<u8>, Error> {
    let mut pickle = Pickle::new();
    let mut pairs: Vec<(Id, Id)> = Vec::with_capacity(schema.payload().len());
    for (column, field) in schema.payload().iter().enumerate() {
        let key = pickle.add(Pickled::Text(field.name.as_str().into()));
        pairs.push((key, pickle.add(cells::get(batch.column(column), row))));
    }
    let root = pickle.add(Pickled::Dict(pairs));
    Encoder::encode(&pickle, root, PROTOCOL)
}

/// The tags of an observation, with the device's own time among them.
fn tags(own: Option<&str>, sensor_time: Option<i64>) -> Option<String> {
    let Some(time) = sensor_time else { return own.map(str::to_owned) };
    let mut tags: serde_json::Map<String, serde_json::Value> =
        own.and_then(|own| serde_json::from_str(own).ok()).unwrap_or_default();
    tags.insert(SENSOR_TIME_TAG.to_owned(), time.into());
    Some(serde_json::Value::Object(tags).to_string())
}

/// Bytes as a pickle.
fn wrapped(bytes: &[u8]) -> rusqlite::Result<Vec<u8>> {
    let mut pickle = Pickle::new();
    let root = pickle.add(Pickled::Bytes(bytes.into()));
    Encoder::encode(&pickle, root, PROTOCOL)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn write(
    connection: &Connection,
    table: &Statements,
    id: i64,
    ts: f64,
    observation: Observation,
) -> rusqlite::Result<()> {
    let Observation { value, pose, tags, blob } = observation;
    let real = |number: f64| Value::Real(number);
    let poses = pose.map_or_else(|| vec![Value::Null; POSE.len()], |pose| pose.map(real).to_vec());
    let mut row = vec![Value::Integer(id), real(ts), value.unwrap_or(Value::Null)];
    row.extend(poses);
    row.push(Value::Text(tags.unwrap_or_else(|| "{}".to_owned())));
    connection.prepare_cached(&table.row)?.execute(params_from_iter(row))?;
    if let (Some(sql), Some([x, y, z, ..])) = (&table.rtree, pose) {
        connection.prepare_cached(sql)?.execute(params![id, x, y, z])?;
    }
    if let Some(blob) = blob {
        let blob = if table.payload == Payload::Wrapped { wrapped(&blob)? } else { blob };
        connection.prepare_cached(&table.blob)?.execute(params![id, blob])?;
    }
    Ok(())
}

impl Sink for DimosSink {
    fn write(&mut self, input: usize, batch: Batch) -> Result<Written, Error> {
        self.begin()?;
        let mut written = Written::ALL;
        for row in 0..batch.rows() {
            if let Err(refused) = self.take(input, &batch, row)? {
                let seq = batch.seq()[row];
                written.refuse(input, 1, seq..=seq, refused);
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        self.commit().map(|()| Written::ALL)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.begin()?;
        let names: Vec<String> = self.inputs.iter().map(|input| input.schema.name().to_owned()).collect();
        for name in names {
            let loss = serde_json::json!(self.host.loss(&name)).to_string();
            self.note(&format!("loss.{name}"), &loss)?;
        }
        self.commit()?;
        let Self { connection, path, .. } = *self;
        let ended = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        ended.map_err(|error| failed("write the end of the recording", &path, &error))?;
        connection.close().map_err(|(_, error)| failed("close the recording", &path, &error))?;
        Ok(Written::ALL)
    }
}

/// Makes the file. One that is there belongs to somebody.
fn create(path: &Path) -> Result<Connection, Error> {
    let refused = |error: &rusqlite::Error| failed("make the file", path, error);
    // SQLite would add to a file that is there.
    std::fs::File::create(path).map_err(|error| Error::io("make the file", path, &error))?;
    let connection = Connection::open(path).map_err(|error| refused(&error))?;
    connection.set_prepared_statement_cache_capacity(3 * 256);
    let made = connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE _streams (name TEXT PRIMARY KEY, config TEXT NOT NULL);
         CREATE TABLE _tapedeck (key TEXT PRIMARY KEY, value TEXT NOT NULL);",
    );
    made.map_err(|error| refused(&error))?;
    Ok(connection)
}

impl OpenSink for DimosSink {
    type Options = DimosOptions;

    fn describe() -> Description {
        let summary = "Writes SQLite recordings that dimos opens and replays";
        Description::sink("dimos", summary).version(env!("CARGO_PKG_VERSION")).writes("db")
    }

    fn open(options: DimosOptions, inputs: &[Arc<StreamSchema>], context: Context) -> Result<Self, Error> {
        let path = context.artifact(options.path.as_deref(), "db")?;
        let input = |schema: &Arc<StreamSchema>| {
            let columns = message::Columns::of(schema).ok().filter(|_| is_plain(schema));
            Input {
                message: columns.map(|columns| (columns, Extras::of(schema))),
                schema: schema.clone(),
                tables: HashMap::new(),
            }
        };
        let mut sink = Self {
            connection: create(&path)?,
            inputs: inputs.iter().map(input).collect(),
            path,
            names: HashSet::new(),
            in_transaction: false,
            host: context.host.clone(),
        };
        let session = &context.session;
        sink.note("session", &session.id)?;
        sink.note("started_at", &session.started_at.to_iso8601())?;
        sink.note("pipeline", &session.pipeline)?;
        for (place, schema) in inputs.iter().enumerate() {
            // A stream without frames is known all the same.
            sink.note(&format!("stream.{place:05}"), &serde_json::json!(**schema).to_string())?;
            if sink.inputs[place].message.is_none() {
                let made = sink.make(place, &Key::default()).map_err(|error| sink.failed(&error))?;
                sink.inputs[place].tables.insert(Key::default(), made);
            }
        }
        Ok(sink)
    }
}
