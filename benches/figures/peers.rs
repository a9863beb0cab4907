//! Ten columns of `f64` into Parquet and HDF5 against the libraries called directly, and rows one at a time against h5py.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::engine::{folder, frames_per_second, to_f64};
use crate::{Figure, median};

const ROWS: u64 = 2_000_000;
const COLUMNS: usize = 10;
const BATCH: u64 = 4096;
const RUNS: usize = 5;

fn ours(sink: &str) -> f64 {
    frames_per_second(&format!(
        "journal = \"off\"\n[sources.made]\nplugin = \"synthetic\"\ncolumns = {COLUMNS}\ncount = {ROWS}\nbatch_rows = {BATCH}\n[sinks.{sink}]\nplugin = \"{sink}\"\ninputs = [\"made\"]\n"
    ))
}

/// The same values that our source makes, so that they compress alike.
fn values(first: u64, column: usize) -> impl Iterator<Item = f64> {
    (first..first + BATCH).map(move |row| to_f64(row + column as u64))
}

fn record(first: u64) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("seq".to_owned(), Arc::new(UInt64Array::from_iter_values(first..first + BATCH))),
        (
            "timestamp".to_owned(),
            Arc::new(TimestampNanosecondArray::from_iter_values(
                (first..first + BATCH).map(u64::cast_signed),
            )),
        ),
    ];
    for column in 0..COLUMNS {
        columns.push((format!("c{column}"), Arc::new(Float64Array::from_iter_values(values(first, column)))));
    }
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}

/// `ArrowWriter` with the properties that our sink uses.
fn arrow_writer() -> f64 {
    let folder = folder();
    let file = std::fs::File::create(folder.path().join("x.parquet")).expect("the folder can be written");
    let begin = Instant::now();
    let compression = Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level"));
    let properties =
        WriterProperties::builder().set_compression(compression).set_dictionary_enabled(false).build();
    let mut writer =
        ArrowWriter::try_new(file, record(0).schema(), Some(properties)).expect("the schema is plain");
    let mut first = 0;
    while first < ROWS {
        writer.write(&record(first)).expect("the disk has room");
        first += BATCH;
    }
    writer.close().expect("the disk has room");
    to_f64(ROWS) / begin.elapsed().as_secs_f64()
}

/// Chunked datasets of libhdf5, written batch by batch.
fn libhdf5() -> f64 {
    let folder = folder();
    let begin = Instant::now();
    let file = hdf5_metno::File::create(folder.path().join("x.h5")).expect("the folder can be written");
    let names =
        (0..COLUMNS).map(|column| format!("c{column}")).chain(["seq".to_owned(), "timestamps".to_owned()]);
    let chunk = usize::try_from(BATCH).unwrap_or(4096);
    let datasets: Vec<_> = names
        .map(|name| {
            let builder = file.new_dataset::<f64>().chunk((chunk,)).shape((0..,));
            builder.create(name.as_str()).expect("the names differ")
        })
        .collect();
    let mut first = 0;
    while first < ROWS {
        let rows = usize::try_from(first).unwrap_or(0);
        for (column, dataset) in datasets.iter().enumerate() {
            let block: Vec<f64> = values(first, column).collect();
            dataset.resize((rows + chunk,)).expect("the dataset may grow");
            dataset.write_slice(&block, rows..rows + chunk).expect("the disk has room");
        }
        first += BATCH;
    }
    file.close().expect("the disk has room");
    to_f64(ROWS) / begin.elapsed().as_secs_f64()
}

fn against(name: &str, sink: &str, peer: fn() -> f64) -> Figure {
    let cold = ours(sink) / peer();
    let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| (peer(), ours(sink))).collect();
    let ratio = median(runs.iter().map(|(peer, ours)| ours / peer).collect());
    let ours = median(runs.iter().map(|run| run.1).collect()) / 1e6;
    let direct = median(runs.iter().map(|run| run.0).collect()) / 1e6;
    let measured = format!("{ratio:.2} x ({ours:.2} M rows/s against {direct:.2} M; first pass {cold:.2} x)");
    Figure::new(name, measured, ">= 0.85 x", ratio >= 0.85)
}

/// Rows one at a time: ours through the whole engine, h5py in a loop of its own.
fn row_at_a_time() -> Figure {
    let ours = || {
        frames_per_second(&format!(
            "journal = \"off\"\n[sources.made]\nplugin = \"synthetic\"\ncolumns = {COLUMNS}\ncount = 200000\nbatch_rows = 1\n[sinks.hdf5]\nplugin = \"hdf5\"\ninputs = [\"made\"]\n"
        ))
    };
    let python = std::env::var("TAPEDECK_PYTHON").unwrap_or_else(|_| ".tools/venv/bin/python".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/h5py_rows.py");
    let h5py = || {
        let folder = folder();
        let output = Command::new(&python)
            .arg(&script)
            .arg(folder.path().join("x.h5"))
            .output()
            .expect("run `make python` once");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse::<f64>().unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    ours();
    let runs: Vec<(f64, f64)> = (0..3).map(|_| (h5py(), ours())).collect();
    let ratio = median(runs.iter().map(|(peer, ours)| ours / peer).collect());
    let measured = format!("{ratio:.0} x ({:.0} frames/s against {:.0})", runs[1].1, runs[1].0);
    Figure::new(
        "row at a time into HDF5, 10 columns, against h5py appending rows",
        measured,
        ">= 20 x",
        ratio >= 20.0,
    )
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    vec![
        against("10 columns f64 to parquet, against ArrowWriter", "parquet", arrow_writer),
        against("10 columns f64 to hdf5, against libhdf5 chunked writes", "hdf5", libhdf5),
        row_at_a_time(),
    ]
}
