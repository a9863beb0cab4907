//! Measures writing and reading in processor time: messages of 96 bytes against the bare `mcap` writer, reading back, looking into a large
//! file. It knows nothing of the engine; the pipeline's own figures are in `benches/`.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints what it timed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use tapedeck_mcap::{McapFormat, factory};
use tapedeck_sdk::testing::{FakeHost, open_sink};
use tapedeck_sdk::{Batch, BatchPool, DataType, Format, Kind, StreamSchema, Timestamp};

const MESSAGES: u64 = 1 << 20;
const TOPICS: u64 = 10;
const RUNS: usize = 7;

/// Processor time of this process so far, in nanoseconds: unlike the wall's, it bears other programs on the machine.
fn processor_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Messages in batches of so many rows. Some bytes change with each message, the others seldom.
fn batches(rows: u64) -> Vec<Batch> {
    let builder = StreamSchema::builder("live", Kind::Message).field("topic", DataType::Utf8);
    let builder = builder.field("encoding", DataType::Utf8).field("data", DataType::Binary);
    let schema = builder.nullable("sensor_time", DataType::TimestampNs).build().expect("the names differ");
    let mut pool = BatchPool::new(schema);
    let batch = |first: u64| {
        let mut builder = pool.builder(usize::try_from(rows).expect("few rows"));
        for number in first..first + rows {
            let noise = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).to_le_bytes().repeat(4);
            let data = [noise, (number >> 12).to_le_bytes().repeat(8)].concat();
            let topic = format!("/sensors/lidar_{}", number % TOPICS);
            let time = Timestamp(i64::try_from(number).expect("few messages") * 1000);
            builder.push_row(time).set_str(0, &topic).set_str(1, "cdr").set_bytes(2, &data);
        }
        (first..).zip(builder.seq_mut()).for_each(|(number, seq)| *seq = number);
        builder.finish()
    };
    (0..MESSAGES / rows).map(|number| number * rows).map(batch).collect()
}

/// Nanoseconds a message.
fn ours(folder: &Path, batches: &[Batch], compression: &str) -> f64 {
    let host = FakeHost::new(folder);
    let options = serde_json::json!({ "compression": compression });
    let begin = processor_ns();
    let inputs = [batches[0].schema().clone()];
    let mut sink = open_sink(&factory(), &options, &inputs, &host, "ours").expect("the folder is writable");
    batches.iter().for_each(|batch| _ = sink.write(0, batch.clone()).expect("the disk has room"));
    sink.finish().expect("the disk has room");
    (processor_ns() - begin) / MESSAGES as f64
}

/// The same messages out of the same batches, on channels that are known beforehand.
fn peer(folder: &Path, batches: &[Batch], compression: Option<mcap::Compression>) -> f64 {
    let file = BufWriter::new(File::create(folder.join("peer.mcap")).expect("the folder is writable"));
    let begin = processor_ns();
    let options =
        mcap::WriteOptions::new().compression(compression).compression_level(1).compression_threads(0);
    let mut writer = options.create(file).expect("the file is writable");
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
                sequence: u32::try_from(seq).unwrap_or(0),
                log_time: time,
                publish_time: time,
            };
            writer.write_to_known_channel(&header, data.bytes_at(row)).expect("the disk has room");
        }
    }
    writer.finish().expect("the disk has room");
    (processor_ns() - begin) / MESSAGES as f64
}

fn read(path: &Path) -> f64 {
    let begin = processor_ns();
    let mut recording = McapFormat.open(path).expect("it was written");
    let mut rows = 0;
    while let Some((_, batch)) = recording.next().expect("it can be read") {
        rows += batch.rows();
    }
    assert_eq!(rows as u64, MESSAGES);
    (processor_ns() - begin) / MESSAGES as f64
}

/// Microseconds to open a file and know what it holds, to find a moment, and to find a frame.
fn look(path: &Path) -> [f64; 3] {
    let begin = processor_ns();
    let mut recording = McapFormat.open(path).expect("it was written");
    recording.extent(0).expect("the summary says it");
    let opened = processor_ns();
    for turn in 0..100_i64 {
        recording.seek(Timestamp(turn * 7_919_000 % 1_000_000_000)).expect("it can be read");
        recording.next().expect("it can be read");
    }
    let sought = processor_ns();
    for turn in 0..100_i64 {
        recording.closest(0, Timestamp(turn * 7_919_000 % 1_000_000_000)).expect("it can be read");
    }
    [opened - begin, (sought - opened) / 100.0, (processor_ns() - sought) / 100.0].map(|time| time / 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir_in(".").expect("the folder is writable");
    for (name, compression) in
        [("none", None), ("lz4", Some(mcap::Compression::Lz4)), ("zstd", Some(mcap::Compression::Zstd))]
    {
        for rows in [256, 1] {
            let batches = batches(rows);
            let pair = || (ours(folder.path(), &batches, name), peer(folder.path(), &batches, compression));
            pair();
            let runs: Vec<_> = (0..RUNS).map(|_| pair()).collect();
            let ours = median(runs.iter().map(|run| run.0).collect());
            let peer = median(runs.iter().map(|run| run.1).collect());
            let ratio = median(runs.iter().map(|(ours, peer)| peer / ours).collect());
            println!(
                "{name}, batches of {rows}: {ours:.0} ns a message, the bare writer {peer:.0} ns: {ratio:.2} x its rate"
            );
        }
        let path = folder.path().join("ours.mcap");
        let bytes = path.metadata().expect("it was written").len() as f64 / MESSAGES as f64;
        let [ours, peer] = [path.clone(), folder.path().join("peer.mcap")]
            .map(|path| median((0..3).map(|_| read(&path)).collect()));
        let [opened, sought, closest] = look(&path);
        println!(
            "{name}: {bytes:.1} bytes a message; read in {ours:.0} ns, the bare writer's in {peer:.0} ns; opened in {opened:.0} µs, a moment in {sought:.0} µs, a frame in {closest:.0} µs"
        );
    }
}
