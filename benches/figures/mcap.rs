//! The `mcap` sink against a bare loop over the `mcap` crate's writer: opaque messages of 96 bytes on ten topics.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{Batch, BatchPool, DataType, Kind, StreamSchema, Timestamp};

use crate::engine::{folder, to_f64};
use crate::{Figure, median};

const MESSAGES: u64 = 1_000_000;
const BATCH_ROWS: u64 = 256;
const TOPICS: u64 = 10;
const RUNS: usize = 5;

/// Bytes that compress as sensors' do: some of a message change with each, the others seldom.
fn message(number: u64, data: &mut [u8; 96]) {
    for (place, word) in data.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let changes = if place < 4 { number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40 } else { number >> 12 };
        *word = changes.to_le_bytes();
    }
}

fn batches() -> Vec<Batch> {
    let schema = StreamSchema::builder("live", Kind::Message)
        .field("topic", DataType::Utf8)
        .field("encoding", DataType::Utf8)
        .field("data", DataType::Binary)
        .nullable("sensor_time", DataType::TimestampNs)
        .build()
        .expect("the names differ");
    let mut pool = BatchPool::new(schema);
    let rows = usize::try_from(BATCH_ROWS).unwrap_or(0);
    let batch = |first: u64| {
        let mut builder = pool.builder(rows);
        let mut data = [0; 96];
        for number in first..first + BATCH_ROWS {
            message(number, &mut data);
            let time = Timestamp(i64::try_from(number * 1000).unwrap_or(0));
            let topic = format!("/sensors/lidar_{}", number % TOPICS);
            builder.push_row(time).set_str(0, &topic).set_str(1, "cdr").set_bytes(2, &data);
        }
        (first..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
        builder.finish()
    };
    (0..MESSAGES / BATCH_ROWS).map(|number| number * BATCH_ROWS).map(batch).collect()
}

/// Messages a second.
fn rate(begin: Instant) -> f64 {
    to_f64(MESSAGES) / begin.elapsed().as_secs_f64()
}

fn ours(folder: &Path, batches: &[Batch], compression: &str) -> f64 {
    let host = FakeHost::new(folder);
    let options = serde_json::json!({ "compression": compression });
    let inputs = [batches[0].schema().clone()];
    let begin = Instant::now();
    let mut sink = open_sink(&tapedeck_mcap::factory(), &options, &inputs, &host, "ours")
        .expect("the folder can be written");
    batches.iter().for_each(|batch| _ = sink.write(0, batch.clone()).expect("the disk has room"));
    sink.finish().expect("the disk has room");
    rate(begin)
}

/// The same messages out of the same batches, on channels that are known beforehand.
fn peer(folder: &Path, batches: &[Batch], compression: Option<mcap::Compression>) -> f64 {
    let file = BufWriter::new(File::create(folder.join("peer.mcap")).expect("the folder can be written"));
    let begin = Instant::now();
    let options =
        mcap::WriteOptions::new().compression(compression).compression_level(1).compression_threads(0);
    let mut writer = options.create(file).expect("an empty file takes a header");
    let channel = |topic: u64| {
        let topic = format!("/sensors/lidar_{topic}");
        writer.add_channel(0, &topic, "cdr", &BTreeMap::new()).expect("the topic is new")
    };
    let channels: Vec<u16> = (0..TOPICS).map(channel).collect();
    for batch in batches {
        let (data, times) = (batch.column(2), batch.timestamps());
        for (row, &seq) in batch.seq().iter().enumerate() {
            let time = u64::try_from(times[row]).unwrap_or(0);
            let header = mcap::records::MessageHeader {
                channel_id: channels[usize::try_from(seq % TOPICS).unwrap_or(0)],
                sequence: u32::try_from(seq).unwrap_or(u32::MAX),
                log_time: time,
                publish_time: time,
            };
            writer.write_to_known_channel(&header, data.bytes_at(row)).expect("the disk has room");
        }
    }
    writer.finish().expect("the disk has room");
    drop(writer);
    rate(begin)
}

fn figure(batches: &[Batch], compression: &str, of_peer: Option<mcap::Compression>) -> Figure {
    let folder = folder();
    let pair = || (peer(folder.path(), batches, of_peer), ours(folder.path(), batches, compression));
    let first = pair();
    let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| pair()).collect();
    let ratio = median(runs.iter().map(|(peer, ours)| ours / peer).collect());
    let peer = median(runs.iter().map(|run| run.0).collect()) / 1e6;
    let ours = median(runs.iter().map(|run| run.1).collect()) / 1e6;
    let cold = first.1 / first.0;
    let measured =
        format!("{ratio:.2} x ({ours:.2} M messages/s against {peer:.2} M; first pass {cold:.2} x)");
    let name = format!("messages (96 B) into mcap, compression {compression}, against the mcap writer");
    Figure::new(name, measured, ">= 0.9 x", ratio >= 0.9)
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let batches = batches();
    vec![figure(&batches, "none", None), figure(&batches, "zstd", Some(mcap::Compression::Zstd))]
}
