//! The lines of a file as rows: which keys they have, and which values go into the columns that are wanted. Knows nothing of files.

use std::collections::HashMap;
use std::io::{self, BufRead, Seek};

use tapedeck_kit::json::Pairs;
use tapedeck_kit::lines::{Ending, Found, LineReader, Place, RowReader, Step, json_reason};
use tapedeck_sdk::{COLUMNS_MAX, DataType, RowWriter, StreamSchema, Timestamp};

use crate::encode::holds_json;
use crate::infer;

/// Where a value goes.
#[derive(Debug, Clone, Copy)]
struct Target {
    column: usize,
    data_type: DataType,
    json: bool,
}

/// The keys of all lines so far, in the order of their first appearance.
#[derive(Debug, Default)]
struct Keys {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// The line, counted as they are read, that has had each key last.
    last_line: Vec<u64>,
    lines: u64,
}

impl Keys {
    /// The number of a key of the line in hand, of which it is the `place`th.
    fn number(&mut self, key: &str, place: usize) -> Result<usize, String> {
        // Most lines have the same keys in the same order.
        let usual = self.names.get(place).is_some_and(|name| name == key).then_some(place);
        let number = match usual.or_else(|| self.numbers.get(key).copied()) {
            Some(number) => number,
            None if self.names.len() == COLUMNS_MAX + StreamSchema::LEAD => {
                return Err(format!("has a key too many, the limit is {COLUMNS_MAX}"));
            }
            None => {
                self.names.push(key.to_owned());
                self.numbers.insert(key.to_owned(), self.last_line.len());
                self.last_line.push(0);
                self.last_line.len() - 1
            }
        };
        match std::mem::replace(&mut self.last_line[number], self.lines) {
            last if last == self.lines => Err(format!("has the key \"{key}\" twice")),
            _ => Ok(number),
        }
    }
}

/// The values of the line in hand, as they stand there.
#[derive(Debug, Default)]
struct Values {
    text: String,
    /// The number of each value's key, and where the value ends in `text`.
    ends: Vec<(usize, usize)>,
}

impl Values {
    fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|&(_, end)| end));
        begins.zip(&self.ends).map(|(begin, &(key, end))| (key, &self.text[begin..end]))
    }

    fn of(&self, name: &str, keys: &Keys) -> Option<&str> {
        let number = *keys.numbers.get(name)?;
        self.iter().find(|&(key, _)| key == number).map(|(_, value)| value)
    }
}

/// The objects of a file.
pub(crate) struct JsonRows<R> {
    lines: LineReader<R>,
    keys: Keys,
    values: Values,
    /// Where the value of each key goes, if it is wanted.
    targets: Vec<Option<Target>>,
}

impl<R> JsonRows<R> {
    pub(crate) fn new(lines: LineReader<R>) -> Self {
        Self { lines, keys: Keys::default(), values: Values::default(), targets: Vec::new() }
    }

    /// All keys so far.
    pub(crate) fn names(&self) -> &[String] {
        &self.keys.names
    }

    /// The values of the row in hand, each with the number of its key among [`names`](Self::names).
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, &str)> {
        self.values.iter()
    }
}

impl<R: BufRead> JsonRows<R> {
    /// Takes the line in hand apart.
    fn split(&mut self) -> Result<(), String> {
        self.values.text.clear();
        self.values.ends.clear();
        let object: Pairs<'_> = serde_json::from_str(self.lines.text())
            .map_err(|error| format!("can't be read: {}", json_reason(&error)))?;
        self.keys.lines += 1;
        for (place, (key, value)) in object.0.into_iter().enumerate() {
            let number = self.keys.number(&key, place)?;
            self.values.text.push_str(value.get());
            self.values.ends.push((number, self.values.text.len()));
        }
        Ok(())
    }

    /// The row in hand, or what is wrong with it.
    fn row(&self) -> Result<Step, String> {
        let value = |name: &str| self.values.of(name, &self.keys);
        let time = value("timestamp").map_or(Some(Timestamp(0)), infer::timestamp);
        Ok(Step::row(value("seq"), time)?)
    }
}

impl<R: BufRead + Seek + Send> RowReader for JsonRows<R> {
    fn advance(&mut self) -> io::Result<Step> {
        let found = self.lines.advance()?;
        let (byte, _) = self.begin();
        let step = match found {
            Found::End => return Ok(Step::End(Ending::Whole)),
            Found::Malformed(why) => Err(format!("can't be read: {why}")),
            Found::Line { .. } => self.split().and_then(|()| self.row()),
        };
        // An object is whole or it is not: a last one that is whole counts, whether or not its line end was written.
        let torn = found == (Found::Line { ended: false }) && self.lines.bytes().starts_with(b"{");
        Ok(step.unwrap_or_else(|why| if torn { Step::End(Ending::Torn(byte)) } else { Step::Bad(why) }))
    }

    fn begin(&self) -> (u64, u64) {
        self.lines.begin()
    }

    fn go_to(&mut self, place: &Place) -> io::Result<()> {
        self.lines.go_to((place.byte, place.line))
    }

    fn choose(&mut self, schema: &StreamSchema) {
        self.targets = vec![None; self.keys.names.len()];
        for (column, field) in schema.payload().iter().enumerate() {
            let Some(&number) = self.keys.numbers.get(&field.name) else { continue };
            let json = holds_json(schema.kind(), &field.name);
            self.targets[number] = Some(Target { column, data_type: field.data_type, json });
        }
    }

    fn fill(&self, writer: &mut RowWriter<'_, '_>) -> Option<()> {
        for (key, value) in self.values.iter() {
            // A key that the first pass did not see is in a file that has changed since.
            let Some(&Some(Target { column, data_type, json })) = self.targets.get(key) else { continue };
            infer::set(writer, column, data_type, json, value)?;
        }
        Some(())
    }
}
