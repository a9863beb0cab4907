//! One HDF5 file that is being recorded: made from plans, fed with batches, closed once.

use std::path::Path;

use tapedeck_sdk::{Batch, BatchPool, Context, Error, Loss};

use crate::disk::Disk;
use crate::frames::Frames;
use crate::nulls::Nulls;
use crate::plan::{
    Column, DESCRIPTION, Description, FORMAT, INTERNAL, Label, Plan, StreamDescription, internal,
};
use crate::raw::{Dataset, Element, Failure, Group, Storage, set_number, set_text, set_texts};
use crate::table::{Channel, Table};
use crate::tail::{TAIL, Tail};

/// A text up to this long becomes an attribute; a longer one a dataset, as the library allows 64 KiB for all of an object's header.
const ATTRIBUTE_BYTES_MAX: usize = 32 << 10;
/// What the library writes for an empty dataset, at the most.
const DATASET_BYTES: u64 = 1536;
/// The most bytes that the rows of one chunk may take in memory.
const IMAGE_BYTES_MAX: usize = 1 << 30;

/// How a recording's datasets are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) layout: &'static str,
    pub(crate) chunk_rows: Option<u32>,
    pub(crate) deflate: Option<u32>,
    pub(crate) shuffle: bool,
    pub(crate) swmr: bool,
}

/// The `seq` of a row that was refused, and why.
pub(crate) type Refused = (u64, Error);

/// An open recording. The datasets stand before the file, which must be closed after them.
pub(crate) struct Recording {
    streams: Vec<Stream>,
    disk: Disk,
}

struct Stream {
    name: String,
    /// The group, for the counts of what was lost.
    group: Option<Group>,
    table: Table,
    nulls: Nulls,
    frames: Option<Frames>,
}

impl Stream {
    fn note_nulls(&mut self, disk: &Disk) -> Result<(), Error> {
        let table = &self.table;
        let noted = self.nulls.note(|column| table.dataset(column));
        noted.map_err(|failure| disk.error("write the counts of nulls to", &failure))
    }
}

impl Recording {
    /// Makes the file, with every dataset, and hands it to the operating system: it can be read from here on.
    pub(crate) fn create(
        path: &Path,
        plans: &[Plan],
        settings: Settings,
        context: &Context,
    ) -> Result<Self, Error> {
        for plan in plans {
            check_size(plan, settings)?;
        }
        let mut disk = Disk::create(path, settings.swmr)?;
        let datasets: usize = plans.iter().map(|plan| plan.columns.len()).sum();
        disk.room(DATASET_BYTES * datasets as u64)?;
        let made = Self::fill(&disk, plans, settings, context)
            .map_err(|failure| disk.error("make the datasets of", &failure));
        let streams = made?;
        let tails: u64 = streams.iter().map(|stream| stream.table.tail_bytes()).sum();
        disk.room(tails)?;
        disk.flush()?;
        Ok(Self { streams, disk })
    }

    fn fill(
        disk: &Disk,
        plans: &[Plan],
        settings: Settings,
        context: &Context,
    ) -> Result<Vec<Stream>, Failure> {
        let root = disk.file().root();
        let session = &context.session;
        set_text(root, "generator", concat!("tapedeck ", env!("CARGO_PKG_VERSION")))?;
        set_text(root, "layout", settings.layout)?;
        set_text(root, "session", &session.id)?;
        set_text(root, "started_at", &session.started_at.to_iso8601())?;
        set_loss(root, Loss::default())?;
        let hidden = root.group(INTERNAL)?;
        if session.pipeline.len() <= ATTRIBUTE_BYTES_MAX {
            set_text(root, "pipeline", &session.pipeline)?;
        } else {
            text_dataset(&hidden, "pipeline", &session.pipeline)?;
        }
        let description = describe(plans, settings, context);
        let json = serde_json::to_string(&description).map_err(|error| Failure::new(error.to_string()))?;
        text_dataset(&hidden, DESCRIPTION, &json)?;
        plans.iter().map(|plan| stream(root, &hidden, plan, settings)).collect()
    }

    /// Takes rows of a stream. Returns how many values were too long and were cut, and which rows were refused.
    pub(crate) fn write(&mut self, input: usize, batch: &Batch) -> Result<(u64, Vec<Refused>), Error> {
        let Some(frames) = &mut self.streams[input].frames else {
            return Ok((self.take(input, batch)?, Vec::new()));
        };
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for row in 0..batch.rows() {
            match frames.accept(batch, row) {
                Ok(()) => kept.push(row),
                Err(error) => refused.push((batch.seq()[row], error)),
            }
        }
        if refused.is_empty() {
            return Ok((self.take(input, batch)?, refused));
        }
        let mut pool = BatchPool::new(batch.schema().clone());
        let mut rest = pool.builder(kept.len());
        kept.into_iter().for_each(|row| rest.append(batch, row..row + 1));
        Ok((self.take(input, &rest.finish())?, refused))
    }

    fn take(&mut self, input: usize, batch: &Batch) -> Result<u64, Error> {
        let stream = &mut self.streams[input];
        if let Some(frames) = &mut stream.frames {
            frames.write(batch, &mut self.disk)?;
        }
        stream.table.write(batch, &mut self.disk)?;
        stream.nulls.take(batch);
        Ok(stream.table.take_cut())
    }

    /// Makes everything survive a kill, and visible to readers.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        for stream in &mut self.streams {
            stream.table.flush(&mut self.disk)?;
            stream.note_nulls(&self.disk)?;
        }
        self.disk.flush()
    }

    /// Writes what is left, and what was lost, and closes the file. `loss` is asked for each stream by name.
    pub(crate) fn finish(mut self, loss: impl Fn(&str) -> Loss) -> Result<(), Error> {
        let mut first_error = None;
        let mut total = Loss::default();
        for mut stream in self.streams {
            let lost = loss(&stream.name);
            total = total + lost;
            first_error = first_error.or(stream.note_nulls(&self.disk).err());
            let written = stream.table.finish(&mut self.disk);
            let noted = stream.group.map_or(Ok(()), |group| set_loss(&group, lost));
            let noted =
                noted.map_err(|failure| self.disk.error("write the counts of lost frames to", &failure));
            first_error = first_error.or(written.and(noted).err());
        }
        let noted = set_loss(self.disk.file().root(), total);
        let noted = noted.map_err(|failure| self.disk.error("write the counts of lost frames to", &failure));
        first_error = first_error.or(noted.err());
        let closed = self.disk.close();
        first_error.map_or(closed, Err)
    }

    /// Closes the file as it is, after a failure.
    pub(crate) fn abandon(self) -> Result<(), Error> {
        drop(self.streams);
        self.disk.close()
    }
}

fn check_size(plan: &Plan, settings: Settings) -> Result<(), Error> {
    let Some(rows) = settings.chunk_rows else { return Ok(()) };
    if plan.row_bytes().saturating_mul(rows as usize) > IMAGE_BYTES_MAX {
        let what = format!(
            "{rows} rows of stream \"{}\" are over 1 GiB, which would be held in memory",
            plan.schema.name()
        );
        return Err(Error::option(["chunk_rows"], what).with_hint("take fewer rows, or leave the option out"));
    }
    Ok(())
}

fn describe(plans: &[Plan], settings: Settings, context: &Context) -> Description {
    let streams = plans.iter().map(|plan| {
        let frames = plan.frames.then(|| crate::siphon::FRAMES.to_owned());
        StreamDescription {
            group: plan.group.clone(),
            schema: (*plan.schema).clone(),
            datasets: frames
                .into_iter()
                .chain(plan.columns.iter().map(|column| column.path.clone()))
                .collect(),
            tail: settings.deflate.filter(|_| !plan.frames).map(|_| internal(TAIL)),
        }
    });
    let streams = streams.collect();
    Description {
        format: FORMAT,
        layout: settings.layout.to_owned(),
        started_at: context.session.started_at,
        streams,
    }
}

fn stream(root: &Group, root_hidden: &Group, plan: &Plan, settings: Settings) -> Result<Stream, Failure> {
    let group = if plan.group.is_empty() { None } else { Some(root.group(&plan.group)?) };
    let hidden = group.as_ref().map(|group| group.group(INTERNAL)).transpose()?;
    let (here, hidden) = (group.as_ref().unwrap_or(root), hidden.as_ref().unwrap_or(root_hidden));
    let chunk_rows = settings.chunk_rows.map_or_else(|| plan.chunk_rows(), |rows| rows as usize);
    // Sequence numbers and times of pictures are a few bytes beside a picture: not worth a tail.
    let deflate = settings.deflate.filter(|_| !plan.frames);
    let storage =
        Storage { chunk_rows: chunk_rows as u64, deflate, shuffle: settings.shuffle && deflate.is_some() };
    let channels =
        plan.columns.iter().map(|column| channel(here, column, storage)).collect::<Result<_, _>>()?;
    let tail = deflate.map(|_| Tail::create(hidden, chunk_rows, plan.row_bytes())).transpose()?;
    let frames = plan
        .frames
        .then(|| Frames::new(here, &plan.schema, settings.deflate, settings.shuffle))
        .transpose()?;
    if let Some(group) = &group {
        set_loss(group, Loss::default())?;
    }
    let table = Table::new(channels, chunk_rows, tail);
    Ok(Stream { name: plan.schema.name().to_owned(), group, table, nulls: Nulls::of(plan), frames })
}

fn channel(group: &Group, column: &Column, storage: Storage) -> Result<Channel, Failure> {
    let dimensions: Vec<u64> = std::iter::once(0).chain(column.row.iter().copied()).collect();
    let dataset = Dataset::create(group, &column.path, column.element, &dimensions, storage)?;
    for (key, value) in &column.attributes {
        match value {
            Label::Text(value) => set_text(&dataset, key, value)?,
            Label::List(values) => set_texts(&dataset, key, values)?,
        }
    }
    Nulls::begin(&dataset, column)?;
    Ok(Channel { dataset, fill: column.fill.clone() })
}

fn text_dataset(group: &Group, link: &str, text: &str) -> Result<(), Failure> {
    let dataset = Dataset::create(group, link, Element::Text(text.len().max(1)), &[1], Storage::default())?;
    if text.is_empty() { Ok(()) } else { dataset.write_rows(0, text.as_bytes()) }
}

fn set_loss(group: &Group, loss: Loss) -> Result<(), Failure> {
    set_number(group, "late", loss.late)?;
    set_number(group, "dropped", loss.dropped)?;
    set_number(group, "failed", loss.failed)
}
