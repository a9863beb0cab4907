//! Reads the files of a sink through its format, and compares what they hold with what was written.

use std::path::{Path, PathBuf};

use super::cells::{self, Fidelity};
use super::{SinkCase, told, well_formed};
use crate::names::has_extension;
use crate::testing::scratch::parts;
use crate::{Batch, Format, Recording, Repair, StreamSchema};

/// How often the reader of a file is called at the most: no file of the suite has so many batches.
const CALLS_MAX: usize = 1_000_000;

/// The files that the format can read, in the order in which the sink registered them, as they lie in `folder`.
pub(super) fn readable(
    format: &dyn Format,
    artifacts: &[PathBuf],
    session: &Path,
    folder: &Path,
) -> Vec<PathBuf> {
    let known = |path: &&PathBuf| format.extensions().iter().any(|known| has_extension(path, known));
    let moved = |path: &PathBuf| folder.join(path.strip_prefix(session).unwrap_or(path));
    let mut files: Vec<PathBuf> = Vec::new();
    for file in artifacts.iter().filter(known).map(moved).filter(|path| path.exists()) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// All frames of the files.
pub(super) fn read(format: &dyn Format, files: &[PathBuf]) -> Result<Vec<Batch>, String> {
    let mut batches = Vec::new();
    for file in files {
        let mut recording =
            format.open(file).map_err(|error| told(&format!("{} does not open", name(file)), &error))?;
        let frames = drain(recording.as_mut()).map_err(|wrong| format!("{}: {wrong}", name(file)))?;
        batches.extend(frames.into_iter().map(|(_, batch)| batch));
    }
    Ok(batches)
}

/// Everything that a recording still has, each batch with the index of its stream.
pub(super) fn drain(recording: &mut dyn Recording) -> Result<Vec<(usize, Batch)>, String> {
    let streams = recording.streams().to_vec();
    let mut batches = Vec::new();
    for _ in 0..CALLS_MAX {
        let next = recording.next().map_err(|error| told("it can't be read", &error))?;
        let Some((stream, batch)) = next else { return Ok(batches) };
        let schema = streams.get(stream).ok_or("its reader gave a stream that it has not declared")?;
        well_formed(&batch, schema)?;
        if batch.rows() == 0 {
            return Err("its reader gave a batch without rows".to_owned());
        }
        batches.push((stream, batch));
    }
    Err("its reader does not end".to_owned())
}

/// A file as messages name it.
pub(super) fn name(file: &Path) -> String {
    file.file_name().map(|name| format!("\"{}\"", name.to_string_lossy())).unwrap_or_default()
}

/// The names and bytes of a recording's files.
fn content(recording: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let read =
        |path: PathBuf| std::fs::read(&path).map(|bytes| (path, bytes)).map_err(|error| error.to_string());
    parts(recording)?.into_iter().map(read).collect()
}

/// Mends files as after a kill, then makes sure that there is nothing left to mend.
pub(super) fn repair(format: &dyn Format, files: &[PathBuf]) -> Result<(), String> {
    for file in files {
        let mend = || {
            format.repair(file).map_err(|error| told(&format!("{} can't be repaired", name(file)), &error))
        };
        if let Repair::Unreadable(why) = mend()? {
            return Err(format!("{} is unreadable: {why}", name(file)));
        }
        let bytes = content(file)?;
        match mend()? {
            Repair::Intact => {}
            again => return Err(format!("{} was repaired and is still not whole: {again:?}", name(file))),
        }
        if content(file)? != bytes {
            return Err(format!("{} was whole, and repairing changed it", name(file)));
        }
    }
    Ok(())
}

/// Rows one after the other, whatever the batches.
fn rows<'a>(batches: &[&'a Batch]) -> Vec<(&'a Batch, usize)> {
    batches.iter().flat_map(|&batch| (0..batch.rows()).map(move |row| (batch, row))).collect()
}

/// Whether the files hold the rows that were written to this input, and no others.
pub(super) fn compare(
    case: &SinkCase,
    schema: &StreamSchema,
    only: bool,
    written: &[Batch],
    read: &[Batch],
) -> Result<(), String> {
    let stream = schema.name();
    // A format that has no place for a stream's name knows it by the file's: "conform.game".
    let suffix = format!(".{stream}");
    let exact = read.iter().any(|batch| batch.schema().name() == stream);
    let named = |name: &str| if exact { name == stream } else { name.ends_with(&suffix) };
    let read: Vec<&Batch> = read.iter().filter(|batch| only || named(batch.schema().name())).collect();
    let (written, read) = (rows(&written.iter().collect::<Vec<_>>()), rows(&read));
    if written.len() != read.len() {
        return Err(format!(
            "stream \"{stream}\": {} rows were read, {} were written",
            read.len(),
            written.len()
        ));
    }
    if let Some((batch, _)) = read.first() {
        columns(case.fidelity, schema, batch.schema())
            .map_err(|wrong| format!("stream \"{stream}\": {wrong}"))?;
    }
    for (number, (&(wrote, from), &(found, at))) in written.iter().zip(&read).enumerate() {
        let lead = |batch: &Batch, row: usize| (batch.seq()[row], batch.timestamps()[row]);
        let (is, was) = (lead(found, at), lead(wrote, from));
        if is.0 != was.0 || u128::from(is.1.abs_diff(was.1)) > case.time_error_max.as_nanos() {
            return Err(format!(
                "stream \"{stream}\", row {number}: seq and timestamp are {is:?}, not {was:?}"
            ));
        }
        for (column, field) in schema.payload().iter().enumerate() {
            // The columns were found in the first row's schema, which is that of every batch of the stream.
            let Some(index) = found.schema().payload_index(&field.name) else { continue };
            cells::same(case.fidelity, (wrote.column(column), from), (found.column(index), at)).map_err(
                |wrong| format!("stream \"{stream}\", row {number}, column \"{}\": {wrong}", field.name),
            )?;
        }
    }
    Ok(())
}

/// Whether the columns are there.
fn columns(fidelity: Fidelity, written: &StreamSchema, read: &StreamSchema) -> Result<(), String> {
    for field in written.payload() {
        let index =
            read.payload_index(&field.name).ok_or(format!("column \"{}\" is not there", field.name))?;
        let found = read.payload()[index].data_type;
        if fidelity != Fidelity::Text && found != field.data_type {
            return Err(format!("column \"{}\" is of type {found}, not {}", field.name, field.data_type));
        }
    }
    match read.payload().iter().find(|field| written.payload_index(&field.name).is_none()) {
        Some(field) => Err(format!("column \"{}\" was never written", field.name)),
        None => Ok(()),
    }
}
