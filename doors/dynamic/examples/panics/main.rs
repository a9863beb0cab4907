//! A transform that panics wherever it is told to, as a library. For the tests of the door.

use tapedeck_sdk::prelude::*;

/// Options of the `panics` transform.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct PanicsOptions {
    /// The call to panic in, the first time that it comes.
    call: String,
}

impl PanicsOptions {
    fn reach(&self, call: &str) {
        assert!(self.call != call, "in {call}");
    }
}

/// A transform that panics.
struct Panics {
    options: PanicsOptions,
}

impl Panics {
    fn reach_once(&mut self, call: &str) {
        if self.options.call == call {
            self.options.call.clear();
            panic!("in {call}");
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.options.reach("close");
    }
}

impl Transform for Panics {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        self.reach_once("streams");
        Ok(inputs.to_vec())
    }

    fn process(&mut self, input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        self.reach_once("process");
        out.push(input, batch);
        Ok(())
    }

    fn flush(&mut self, _now: Timestamp, _out: &mut dyn Outputs) -> Result<(), Error> {
        self.reach_once("flush");
        Ok(())
    }

    fn finish(mut self: Box<Self>, _out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        self.reach_once("finish");
        Ok(Some("all is well".to_owned()))
    }
}

impl OpenTransform for Panics {
    type Options = PanicsOptions;

    fn describe() -> Description {
        Description::transform("panics", "Panics where it is told to").version(env!("CARGO_PKG_VERSION"))
    }

    fn check(options: &PanicsOptions) -> Result<(), Error> {
        options.reach("check");
        Ok(())
    }

    fn open(options: PanicsOptions, _context: Context) -> Result<Self, Error> {
        options.reach("open");
        Ok(Self { options })
    }
}

tapedeck_sdk::export!(transform Panics);
