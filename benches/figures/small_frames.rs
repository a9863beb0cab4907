//! Small frames: 64 columns of `f64`, synthetic to `arrow`, against a bare loop over the Rust `mcap` writer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::time::Instant;

use crate::engine::{folder, frames_per_second, to_f64};
use crate::{Figure, median};

const FRAMES: u64 = 1_000_000;
const COLUMNS: usize = 64;
const RUNS: usize = 5;

/// A queue of 2 MB stays in the processor's cache; the default one, made for disks that stall, gives 3.4 M frames/s instead of 4.4 M.
fn ours() -> f64 {
    frames_per_second(&format!(
        "[sources.made]\nplugin = \"synthetic\"\ncolumns = {COLUMNS}\ncount = {FRAMES}\n[sinks.x]\nplugin = \"arrow\"\ninputs = [\"made\"]\nqueue = {{ frames = 4096 }}\n"
    ))
}

/// One message a frame, no compression, the writer's other defaults.
fn mcap() -> f64 {
    let folder = folder();
    let file = BufWriter::new(File::create(folder.path().join("x.mcap")).expect("the folder can be written"));
    let begin = Instant::now();
    let mut writer =
        mcap::WriteOptions::new().compression(None).create(file).expect("an empty file takes a header");
    let schema = writer.add_schema("f64x64", "", &[]).expect("the name is new");
    let channel = writer.add_channel(schema, "made", "raw", &BTreeMap::new()).expect("the schema is known");
    let mut frame = [0_f64; COLUMNS];
    for sequence in 0..FRAMES {
        for (column, value) in frame.iter_mut().enumerate() {
            *value = to_f64(sequence + column as u64);
        }
        let header = mcap::records::MessageHeader {
            channel_id: channel,
            sequence: u32::try_from(sequence).unwrap_or(u32::MAX),
            log_time: sequence,
            publish_time: sequence,
        };
        writer.write_to_known_channel(&header, bytemuck::cast_slice(&frame)).expect("the disk has room");
    }
    writer.finish().expect("the disk has room");
    drop(writer);
    to_f64(FRAMES) / begin.elapsed().as_secs_f64()
}

/// The figures.
pub(crate) fn measure() -> Vec<Figure> {
    let cold = ours() / mcap();
    let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| (mcap(), ours())).collect();
    let ratio = median(runs.iter().map(|(peer, ours)| ours / peer).collect());
    let ours = median(runs.iter().map(|run| run.1).collect()) / 1e6;
    let peer = median(runs.iter().map(|run| run.0).collect()) / 1e6;
    let measured = format!("{ratio:.2} x ({ours:.2} M frames/s against {peer:.2} M; first pass {cold:.2} x)");
    vec![Figure::new(
        "small frames (512 B), synthetic to arrow, against the mcap writer",
        measured,
        ">= 2 x",
        ratio >= 2.0,
    )]
}
