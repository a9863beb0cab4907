//! Pictures as Foxglove's messages, with our columns behind them as fields that other readers pass over.

use tapedeck_sdk::{Batch, RowWriter, StreamSchema};

use crate::columns::ImageColumns;
use crate::descriptor;
use crate::rows::Rows;
use crate::wire::{Fields, Value, put_bytes, put_fixed32, put_number};

/// The field number of our first column, behind those of Foxglove's messages.
const FIRST_COLUMN: u32 = 1000;

/// Which of Foxglove's messages a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Raw,
    Compressed,
    Video,
}

impl Shape {
    pub(crate) fn of(format: &str) -> Self {
        match format {
            "jpeg" | "jpg" | "png" | "webp" | "avif" => Self::Compressed,
            "h264" | "h265" | "vp9" | "av1" => Self::Video,
            _ => Self::Raw,
        }
    }

    /// The name of the message and its descriptor.
    pub(crate) fn schema(self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Raw => ("foxglove.RawImage", descriptor::raw_image()),
            Self::Compressed => ("foxglove.CompressedImage", descriptor::compressed_image()),
            Self::Video => ("foxglove.CompressedVideo", descriptor::compressed_video()),
        }
    }

    /// The field that holds the pixels.
    fn data(self) -> u32 {
        match self {
            Self::Raw => 6,
            Self::Compressed => 2,
            Self::Video => 3,
        }
    }
}

/// What Foxglove calls a layout of pixels.
fn encoding(format: &str) -> &str {
    match format {
        "gray8" => "mono8",
        "gray16" => "mono16",
        other => other,
    }
}

/// How the pictures of a stream are written.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    columns: ImageColumns,
    rows: Rows,
}

impl Images {
    pub(crate) fn new(columns: ImageColumns, schema: &StreamSchema) -> Self {
        Self { columns, rows: Rows::new(schema, FIRST_COLUMN, Some(columns.pixels)) }
    }

    pub(crate) fn shape(&self, batch: &Batch, row: usize) -> Shape {
        Shape::of(batch.column(self.columns.format).str_at(row))
    }

    /// Adds a picture taken at `time` (ns since the Unix epoch).
    pub(crate) fn encode(&self, batch: &Batch, row: usize, time: i64, out: &mut Vec<u8>) {
        let mut at = Vec::with_capacity(16);
        put_number(&mut at, 1, time.div_euclid(1_000_000_000).cast_unsigned());
        put_number(&mut at, 2, time.rem_euclid(1_000_000_000).cast_unsigned());
        put_bytes(out, 1, &at);
        let format = batch.column(self.columns.format).str_at(row);
        let pixels = batch.column(self.columns.pixels).bytes_at(row);
        let shape = Shape::of(format);
        match shape {
            Shape::Raw => {
                let [width, height] = [self.columns.width, self.columns.height]
                    .map(|column| batch.column(column).values::<u32>()[row]);
                let step = pixels.len().checked_div(height as usize).unwrap_or(0);
                put_fixed32(out, 2, width);
                put_fixed32(out, 3, height);
                put_bytes(out, 4, encoding(format).as_bytes());
                put_fixed32(out, 5, u32::try_from(step).unwrap_or(u32::MAX));
            }
            Shape::Compressed => put_bytes(out, 3, format.as_bytes()),
            Shape::Video => put_bytes(out, 4, format.as_bytes()),
        }
        put_bytes(out, shape.data(), pixels);
        self.rows.encode(batch, row, out);
    }

    /// Sets the values of a row.
    pub(crate) fn decode(
        &self,
        shape: Shape,
        message: &[u8],
        places: &[Option<usize>],
        writer: &mut RowWriter<'_, '_>,
    ) -> Result<(), &'static str> {
        if let Some(place) = places.get(self.columns.pixels).copied().flatten() {
            let pixels = Fields(message).filter_map(Result::ok).find_map(|(number, value)| match value {
                Value::Bytes(bytes) if number == shape.data() => Some(bytes),
                _ => None,
            });
            writer.set_bytes(place, pixels.unwrap_or_default());
        }
        self.rows.decode(message, places, writer)
    }
}
