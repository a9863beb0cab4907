//! Mends a file whose writer was killed: takes away the writer's marks, moves rows that waited for a full chunk to where they
//! belong, and cuts all datasets of a stream to one length.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tapedeck_sdk::{Error, Repair};

use crate::disk::explain;
use crate::plan::StreamDescription;
use crate::raw::{Dataset, Failure, File, Group, Mode, Node};
use crate::reader::{SIGNATURE, beginnings, cut_at, description};
use crate::tail::blocks;

/// The most bytes of a tail.
const TAIL_BYTES_MAX: usize = 2 << 30;

/// Mends the file at `path`.
pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    if !has_signature(path).map_err(|error| Error::io("open an HDF5 file", path, &error))? {
        return Ok(Repair::Unreadable("it does not begin as an HDF5 file does".to_owned()));
    }
    if is_whole(path) {
        return Ok(Repair::Intact);
    }
    let file = match File::open(path, Mode::Repair) {
        Ok(file) => file,
        Err(failure) if failure.errno.is_some() => return Err(explain("open", path, &failure)),
        Err(failure) => return Ok(Repair::Unreadable(failure.message)),
    };
    let end = cut_at(path, &file)?;
    let mended = mend(file.root(), end);
    let closed = file.close();
    match mended.and_then(|report| closed.map(|()| report)) {
        Ok(report) => Ok(Repair::Mended(report)),
        Err(failure) if failure.errno.is_some() => Err(explain("mend", path, &failure)),
        Err(failure) => Ok(Repair::Unreadable(failure.message)),
    }
}

/// Whether the file begins like HDF5, at one of the places that the format allows. The library takes an empty file that it may write
/// for a new one.
fn has_signature(path: &Path) -> io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    for place in beginnings().take_while(|place| place + 8 <= length) {
        let mut found = [0; 8];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut found)?;
        if found == SIGNATURE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the writer closed the file and every stream's datasets have the same rows.
fn is_whole(path: &Path) -> bool {
    let Ok(file) = File::open(path, Mode::Whole) else { return false };
    let Ok(description) = description(file.root()) else { return false };
    description.is_none_or(|description| {
        description.streams.iter().all(|stream| is_even(file.root(), stream).unwrap_or(false))
    })
}

fn is_even(root: &Group, stream: &StreamDescription) -> Result<bool, Failure> {
    let datasets = open_all(root, stream)?;
    Ok(datasets.windows(2).all(|pair| pair[0].rows() == pair[1].rows()))
}

fn mend(root: &Group, end: Option<u64>) -> Result<String, Failure> {
    let Some(description) = description(root)? else {
        return if root.contains(crate::datasets::TIMESTAMPS) {
            Ok("took away the marks of a writer that is gone".to_owned())
        } else {
            Err(Failure::new("it holds no recording"))
        };
    };
    let mut done = vec!["took away the marks of a writer that is gone".to_owned()];
    for stream in &description.streams {
        let name = stream.schema.name();
        let (moved, cut) = mend_stream(root, stream, end)?;
        if moved > 0 {
            done.push(format!("moved {moved} rows of stream \"{name}\" from the tail"));
        }
        if cut > 0 {
            done.push(format!("cut up to {cut} incomplete rows of stream \"{name}\""));
        }
    }
    Ok(done.join(", "))
}

/// Returns how many rows were moved from the tail, and how many were cut.
fn mend_stream(root: &Group, stream: &StreamDescription, end: Option<u64>) -> Result<(u64, u64), Failure> {
    let mut datasets = open_all(root, stream)?;
    let mut rows = u64::MAX;
    for dataset in &datasets {
        rows = rows.min(end.map_or(Ok(dataset.rows()), |end| dataset.rows_before(end))?);
    }
    let longest = datasets.iter().map(Dataset::rows).max().unwrap_or(0);
    let mut moved = 0;
    if let Some(tail) = &stream.tail {
        moved = move_tail(&within(root, &stream.group)?.dataset(tail)?, &mut datasets, rows)?;
    }
    for dataset in &mut datasets {
        if dataset.rows() != rows + moved {
            dataset.set_rows(rows + moved)?;
        }
    }
    Ok((moved, longest.saturating_sub(rows + moved)))
}

/// Moves the rows of the tail that follow row `rows` into the datasets. Returns how many.
fn move_tail(tail: &Dataset, datasets: &mut [Dataset], rows: u64) -> Result<u64, Failure> {
    let log = tail.read_all(TAIL_BYTES_MAX)?;
    let mut at = rows;
    for block in blocks(&log) {
        if block.first_row + block.rows <= at {
            continue;
        }
        let widths: Option<Vec<usize>> = datasets.iter().map(Dataset::row_bytes).collect();
        let widths = widths.ok_or_else(|| Failure::new("a dataset can't be read"))?;
        let Ok(count) = usize::try_from(block.rows) else { break };
        if block.first_row != at
            || widths.iter().map(|width| width * count).sum::<usize>() != block.bytes.len()
        {
            break;
        }
        let mut bytes = block.bytes;
        for (dataset, width) in datasets.iter_mut().zip(widths) {
            let (these, rest) = bytes.split_at(width * count);
            dataset.set_rows(at + block.rows)?;
            dataset.write_rows(at, these)?;
            bytes = rest;
        }
        at += block.rows;
    }
    Ok(at - rows)
}

fn within(root: &Group, group: &str) -> Result<Group, Failure> {
    match root.open(if group.is_empty() { "/" } else { group })? {
        Node::Group(group) => Ok(group),
        Node::Dataset(_) | Node::Elsewhere | Node::Other => {
            Err(Failure::new(format!("\"{group}\" is not a group")))
        }
    }
}

/// The datasets of a stream. Pictures that never came have no dataset: then the stream has no rows.
fn open_all(root: &Group, stream: &StreamDescription) -> Result<Vec<Dataset>, Failure> {
    let group = within(root, &stream.group)?;
    let there =
        stream.datasets.iter().filter(|path| path.as_str() != crate::siphon::FRAMES || group.contains(path));
    there.map(|path| group.dataset(path)).collect()
}
