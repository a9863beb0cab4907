//! The crates of the formats, called directly: what a program would do that reads all columns of a file in blocks.

use std::fs::File;
use std::hint::black_box;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use arrow_ipc::reader::StreamReader;
use hdf5_metno::types::TypeDescriptor;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Rows that are read at once, as in the files' batches.
const ROWS: usize = 4096;

/// Seconds to read a file to its end.
pub(super) fn read(format: &str, path: &Path) -> f64 {
    let begun = Instant::now();
    match format {
        "arrow" => arrow(path),
        "hdf5" => hdf5(path),
        "parquet" => parquet(path),
        other => panic!("no crate for {other}"),
    }
    begun.elapsed().as_secs_f64()
}

fn arrow(path: &Path) {
    let file = BufReader::new(File::open(path).expect("it was just written"));
    for batch in StreamReader::try_new(file, None).expect("it is an Arrow stream") {
        drop(black_box(batch.expect("it is whole")));
    }
}

fn parquet(path: &Path) {
    let file = File::open(path).expect("it was just written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is a Parquet file");
    for batch in reader.with_batch_size(ROWS).build().expect("all columns") {
        drop(black_box(batch.expect("it is whole")));
    }
}

fn hdf5(path: &Path) {
    let file = hdf5_metno::File::open(path).expect("it was just written");
    let datasets: Vec<_> = file.datasets().expect("it has datasets");
    let rows = datasets.iter().map(|dataset| dataset.size()).max().unwrap_or(0);
    for begin in (0..rows).step_by(ROWS) {
        let rows = begin..rows.min(begin + ROWS);
        datasets.iter().for_each(|dataset| block(dataset, rows.clone()));
    }
}

/// The numbers of a dataset in some rows.
fn block(dataset: &hdf5_metno::Dataset, rows: Range<usize>) {
    let kind = dataset.dtype().and_then(|kind| kind.to_descriptor()).expect("it has a type");
    match kind {
        TypeDescriptor::Float(_) => drop(black_box(dataset.read_slice_1d::<f64, _>(rows))),
        TypeDescriptor::Unsigned(_) => drop(black_box(dataset.read_slice_1d::<u64, _>(rows))),
        _ => drop(black_box(dataset.read_slice_1d::<i64, _>(rows))),
    }
}
