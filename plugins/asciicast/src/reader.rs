//! Reads recordings back: the file as a stream of frames. Knows nothing of how text becomes events.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tapedeck_kit::lines::{LineRecording, RowCursor, stream_name};
use tapedeck_sdk::kinds::terminal::{self, IDLE_LIMIT_KEY, SINGLE_KEY};
use tapedeck_sdk::prelude::*;

use crate::header::Header;
use crate::rows::CastRows;
use crate::{HEADER_KEY, decode, repair};

/// Asciicasts.
pub struct AsciicastFormat;

impl Format for AsciicastFormat {
    fn name(&self) -> &'static str {
        "asciicast"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cast"]
    }

    fn holds_every_frame(&self) -> bool {
        false
    }

    fn matches(&self, head: &[u8], _path: &Path) -> bool {
        decode::begins_as_asciicast(head)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Recording>, Error> {
        let cursor = begin(path)?.map_err(|what| {
            let error = Error::data(format!("{what}: {}", path.display()));
            error.with_hint(
                "an asciicast begins with a JSON object that has a version and the terminal's size",
            )
        })?;
        let schema = schema(&stream_name(path), cursor.rows().header())?;
        Ok(Box::new(LineRecording::new(cursor, schema)?))
    }

    fn repair(&self, path: &Path) -> Result<Repair, Error> {
        repair::repair(path)
    }
}

/// The rows of an open file.
pub(crate) type Cursor = RowCursor<CastRows<BufReader<File>>>;

/// Reads no more than the header: a recording may be long, or still going on. The inner error says why the file is no asciicast.
pub(crate) fn begin(path: &Path) -> Result<Result<Cursor, String>, Error> {
    let file = File::open(path).map_err(|error| Error::io("open the recording", path, &error))?;
    let rows = CastRows::new(BufReader::new(file), &stream_name(path));
    let rows = rows.map_err(|error| Error::io("read the recording", path, &error))?;
    Ok(rows.map(|rows| RowCursor::new(rows, path)))
}

fn schema(connection: &str, header: Option<&Header>) -> Result<Arc<StreamSchema>, Error> {
    let mut schema = terminal::schema(connection).metadata(SINGLE_KEY, "true");
    if let Some(header) = header {
        let mut line = Vec::new();
        header.write(&mut line);
        schema = schema.metadata(HEADER_KEY, String::from_utf8_lossy(line.trim_ascii_end()));
        if let Some(limit) = &header.facts.idle_time_limit {
            schema = schema.metadata(IDLE_LIMIT_KEY, limit.to_string());
        }
    }
    schema.build()
}
