//! The `redact` transform: leads each frame to the text that it is part of, and each row on when that text is decided.

use std::collections::HashMap;
use std::time::Duration;

use tapedeck_sdk::kinds::terminal::{Code, Columns};
use tapedeck_sdk::prelude::*;

use crate::options::RedactOptions;
use crate::password::Prompt;
use crate::patterns::Patterns;
use crate::rows::{Blocking, Lot, Rows};
use crate::text::{Decision, Text};

/// One connection.
#[derive(Default)]
struct Connection {
    output: Text,
    input: Text,
    prompt: Prompt,
}

impl Connection {
    fn texts(&mut self) -> [&mut Text; 2] {
        [&mut self.output, &mut self.input]
    }
}

/// One input stream.
struct Stream {
    columns: Columns,
    rows: Rows,
    connections: HashMap<String, Connection>,
}

/// A transform that masks secrets and leaves out passwords.
pub(crate) struct Redact {
    options: RedactOptions,
    patterns: Patterns,
    context: Context,
    streams: Vec<Stream>,
    /// Input of which passwords are left out.
    kept: Vec<u8>,
    secrets: u64,
    password_bytes: u64,
}

impl Redact {
    fn take(&mut self, input: usize, batch: &Batch, row: usize) {
        let stream = &mut self.streams[input];
        let view = stream.columns.view(batch);
        let (name, code, data) = (view.connection(row), Code::of(view.code(row)), view.data(row));
        if !stream.connections.contains_key(name) {
            stream.connections.insert(name.to_owned(), Connection::default());
        }
        let connection = stream.connections.get_mut(name).expect("it was put there above");
        match code {
            Some(Code::Output) => {
                connection.prompt.shown(data);
                let lot = if self.options.output { Lot::Undecided } else { Lot::Unchanged };
                let number = stream.rows.push(batch, row, lot);
                if self.options.output {
                    self.secrets += connection.output.push(&mut self.patterns, number, data, false);
                    settle(&mut connection.output, &mut stream.rows, self.options.hold_bytes_max);
                }
            }
            Some(Code::Input) => self.take_input(input, batch, row, name, data),
            _ => {
                if code == Some(Code::Echo) {
                    connection.prompt.echo(data != b"off");
                }
                if code == Some(Code::Exit) {
                    self.secrets += release(connection, &mut stream.rows);
                    stream.connections.remove(name);
                }
                stream.rows.push(batch, row, Lot::Unchanged);
            }
        }
    }

    fn take_input(&mut self, input: usize, batch: &Batch, row: usize, name: &str, data: &[u8]) {
        let Stream { rows, connections, .. } = &mut self.streams[input];
        let Some(connection) = connections.get_mut(name) else { return };
        self.kept.clear();
        let left_out = !self.options.keep_passwords && connection.prompt.typed(data, &mut self.kept);
        let text = if left_out { &self.kept[..] } else { data };
        self.password_bytes += (data.len() - text.len()) as u64;
        if left_out && text.is_empty() {
            rows.push(batch, row, Lot::LeftOut);
        } else if self.options.input {
            let number = rows.push(batch, row, Lot::Undecided);
            self.secrets += connection.input.push(&mut self.patterns, number, text, left_out);
            settle(&mut connection.input, rows, self.options.hold_bytes_max);
        } else {
            rows.push(batch, row, if left_out { Lot::Changed(text.to_vec()) } else { Lot::Unchanged });
        }
    }

    /// Lets rows go that have waited long enough. The first one in the way is the oldest.
    fn expire(&mut self, input: usize, waited: impl Fn(&Blocking<'_>) -> Duration) {
        let Stream { columns, rows, connections } = &mut self.streams[input];
        while let Some(blocking) = rows.blocking() {
            if waited(&blocking) < self.options.hold_time.0 {
                return;
            }
            let (batch, row) = (blocking.batch.clone(), blocking.row);
            let view = columns.view(&batch);
            let Some(connection) = connections.get_mut(view.connection(row)) else { return };
            let output = view.code(row) == Code::Output.letter();
            let text = if output { &mut connection.output } else { &mut connection.input };
            text.decide_all();
            settle(text, rows, self.options.hold_bytes_max);
        }
    }
}

/// Tells the rows what was decided of their text.
fn settle(text: &mut Text, rows: &mut Rows, hold_bytes_max: usize) {
    text.limit(hold_bytes_max);
    while let Some((number, decision)) = text.next_decided() {
        let lot = match decision {
            Decision::Clean => Lot::Unchanged,
            Decision::Changed(data) => Lot::Changed(data),
        };
        rows.decide(number, lot);
    }
}

/// Nothing more comes of a connection. Returns how many secrets that makes certain.
fn release(connection: &mut Connection, rows: &mut Rows) -> u64 {
    let mut secrets = 0;
    for text in connection.texts() {
        secrets += text.tentative();
        text.decide_all();
        settle(text, rows, 0);
    }
    secrets
}

impl Transform for Redact {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let mut outputs = Vec::new();
        for input in inputs {
            let columns = Columns::of(input)?;
            let builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            let output = input
                .payload()
                .iter()
                .cloned()
                .fold(builder, |builder, field| builder.push(field))
                .build()?;
            let rows = Rows::new(input, &output, columns.data)?;
            self.streams.push(Stream { columns, rows, connections: HashMap::new() });
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        self.streams[input].rows.arrive(self.context.host.now());
        for (row, &at) in batch.timestamps().iter().enumerate() {
            // Between two rows their own time counts: a recording is masked the same way however fast it is read.
            self.expire(input, |held| Timestamp(at).since(Timestamp(held.batch.timestamps()[held.row])));
            self.take(input, &batch, row);
        }
        self.streams[input].rows.give(&batch, |batch| out.push(input, batch))
    }

    fn flush(&mut self, now: Timestamp, out: &mut dyn Outputs) -> Result<(), Error> {
        for input in 0..self.streams.len() {
            self.expire(input, |held| now.since(held.arrived_at));
            self.streams[input].rows.give_rows(|batch| out.push(input, batch));
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        for (input, stream) in self.streams.iter_mut().enumerate() {
            for connection in stream.connections.values_mut() {
                self.secrets += release(connection, &mut stream.rows);
            }
            stream.rows.give_rows(|batch| out.push(input, batch));
        }
        let (secrets, bytes) = (self.secrets, self.password_bytes);
        let report = || format!("{secrets} secrets masked, {bytes} bytes of passwords left out");
        Ok((secrets + bytes > 0).then(report))
    }
}

impl OpenTransform for Redact {
    type Options = RedactOptions;

    fn describe() -> Description {
        Description::transform("redact", "Masks secrets in terminal streams and leaves out passwords")
            .version(env!("CARGO_PKG_VERSION"))
            .takes(&[Kind::Terminal])
    }

    fn check(options: &RedactOptions) -> Result<(), Error> {
        options.check()?;
        Patterns::new(&options.patterns, &options.builtin).map(drop)
    }

    fn open(options: RedactOptions, context: Context) -> Result<Self, Error> {
        options.check()?;
        let patterns = Patterns::new(&options.patterns, &options.builtin)?;
        Ok(Self {
            options,
            patterns,
            context,
            streams: Vec::new(),
            kept: Vec::new(),
            secrets: 0,
            password_bytes: 0,
        })
    }
}
