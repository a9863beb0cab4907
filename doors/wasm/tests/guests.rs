//! Opens the guests.

use std::path::Path;

use serde_json::Value;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::testing::FakeHost;
use tapedeck_sdk::{Opener, Outputs};
use tapedeck_wasm::WasmDoor;

/// A door whose compiled code is kept between tests.
pub(crate) fn door() -> WasmDoor {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm-cache");
    WasmDoor::new(Some(cache), start_thread, clock()).unwrap()
}

pub(crate) fn clock() -> tapedeck_wasm::SteadyClock {
    #[expect(clippy::disallowed_methods, reason = "there is no engine here")]
    let begun = std::time::Instant::now();
    Arc::new(move || Timestamp(0) + begun.elapsed())
}

pub(crate) fn start_thread(_name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "there is no engine here")]
    std::thread::Builder::new().spawn(run).map(drop)
}

/// A transform with its streams.
pub(crate) type Opened = (Box<dyn Transform>, Vec<Arc<StreamSchema>>);

/// The transform of a factory, with its streams.
pub(crate) fn transform(
    factory: &Factory,
    options: &Value,
    host: &Arc<FakeHost>,
    inputs: &[Arc<StreamSchema>],
) -> Result<Opened, Error> {
    let Opener::Transform(open) = factory.opener() else { panic!("not a transform") };
    let mut transform = open(options, host.context("f"))?;
    let streams = transform.streams(inputs)?;
    Ok((transform, streams))
}

/// Keeps what is handed on.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<(usize, Batch)>);

impl Outputs for Kept {
    fn push(&mut self, output: usize, batch: Batch) {
        self.0.push((output, batch));
    }
}
