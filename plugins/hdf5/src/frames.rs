//! Pictures of the `siphon` layout: one dataset `frames` of BGRA bytes, a chunk a picture.
//!
//! How large the pictures are is not known before the first one, so the dataset is made when it comes. All pictures of a
//! recording have the size of the first.

use tapedeck_sdk::kinds::image::{Columns, PixelFormat};
use tapedeck_sdk::{Batch, Error, StreamSchema};

use crate::disk::Disk;
use crate::raw::{Dataset, Element, Failure, Group, Storage};
use crate::siphon::FRAMES;

const CHANNELS: usize = 4;
/// What the library may write for a new chunk beside the chunk.
const INDEX_BYTES: u64 = 64 << 10;

/// The pictures of one stream.
pub(crate) struct Frames {
    columns: Columns,
    storage: Storage,
    dataset: Option<Dataset>,
    /// Height and width of the first picture.
    size: Option<[usize; 2]>,
    converted: Vec<u8>,
    rows: u64,
}

impl Frames {
    /// For a stream of pictures whose datasets are at the root.
    pub(crate) fn new(
        _root: &Group,
        schema: &StreamSchema,
        deflate: Option<u32>,
        shuffle: bool,
    ) -> Result<Self, Failure> {
        let columns = Columns::of(schema).map_err(|error| Failure::new(error.message))?;
        let storage = Storage { chunk_rows: 1, deflate, shuffle: shuffle && deflate.is_some() };
        Ok(Self { columns, storage, dataset: None, size: None, converted: Vec::new(), rows: 0 })
    }

    /// Takes pictures, each of which was accepted.
    pub(crate) fn write(&mut self, batch: &Batch, disk: &mut Disk) -> Result<(), Error> {
        (0..batch.rows()).try_for_each(|row| self.write_one(batch, row, disk))
    }

    /// Whether the dataset can hold a picture. The first one that it can sets the size of all.
    pub(crate) fn accept(&mut self, batch: &Batch, row: usize) -> Result<(), Error> {
        let view = self.columns.view(batch);
        let size = [view.height(row) as usize, view.width(row) as usize];
        let refuse = |what: String, hint: &str| Err(Error::data(what).with_hint(hint));
        let count =
            size[0].checked_mul(size[1]).filter(|&count| count > 0 && count <= u32::MAX as usize / CHANNELS);
        let Some(count) = count else {
            return refuse(format!("a picture of {} × {} points", size[1], size[0]), "check the source");
        };
        let format = view.format(row);
        let known = PixelFormat::of(format);
        let channels = known.filter(|known| matches!(known, PixelFormat::Bgra8 | PixelFormat::Rgb8));
        let Some(channels) = channels.and_then(PixelFormat::bytes_per_point) else {
            let what = format!("\"frames\" can't hold a picture in format \"{format}\"");
            return refuse(what, "give it bgra8 or rgb8");
        };
        let pixels = view.pixels(row);
        if pixels.len() != count * channels {
            let what =
                format!("a {format} picture of {} × {} points has {} bytes", size[1], size[0], pixels.len());
            return refuse(what, "check the source");
        }
        let first = *self.size.get_or_insert(size);
        if first != size {
            let what = format!("pictures of another size than the first, {} × {} points", first[1], first[0]);
            return refuse(
                what,
                "\"frames\" holds pictures of one size: scale them at the source, or begin a new recording",
            );
        }
        Ok(())
    }

    fn write_one(&mut self, batch: &Batch, row: usize, disk: &mut Disk) -> Result<(), Error> {
        let view = self.columns.view(batch);
        let size = [view.height(row) as usize, view.width(row) as usize];
        let pixels = view.pixels(row);
        let count = size[0] * size[1];
        disk.room((count * CHANNELS) as u64 + INDEX_BYTES)?;
        let made = self.append(pixels, pixels.len() / count, size, disk);
        made.map_err(|failure| disk.error("write a picture to", &failure))
    }

    fn append(
        &mut self,
        pixels: &[u8],
        channels: usize,
        size: [usize; 2],
        disk: &Disk,
    ) -> Result<(), Failure> {
        let dataset = match &mut self.dataset {
            Some(dataset) => dataset,
            empty => {
                let dimensions = [0, size[0] as u64, size[1] as u64, CHANNELS as u64];
                let root = disk.file().root();
                let made = Dataset::create(root, FRAMES, Element::Unsigned(1), &dimensions, self.storage)?;
                empty.insert(made)
            }
        };
        let bgra = if channels == CHANNELS {
            pixels
        } else {
            self.converted.clear();
            let points = pixels.as_chunks::<3>().0;
            self.converted.extend(points.iter().flat_map(|&[red, green, blue]| [blue, green, red, u8::MAX]));
            &self.converted
        };
        dataset.set_rows(self.rows + 1)?;
        match self.storage.deflate {
            None => dataset.write_chunk(self.rows, bgra)?,
            Some(_) => dataset.write_rows(self.rows, bgra)?,
        }
        self.rows += 1;
        Ok(())
    }
}
