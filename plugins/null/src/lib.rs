//! Takes frames and forgets them: for measuring what stands before a sink. Knows nothing of what is in them.

use tapedeck_sdk::prelude::*;

/// Options of the `null` sink: there are none.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NullOptions {}

/// Where frames end that nobody wants to keep.
struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _input: usize, _batch: Batch) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn flush(&mut self) -> Result<Written, Error> {
        Ok(Written::ALL)
    }

    fn finish(self: Box<Self>) -> Result<Written, Error> {
        Ok(Written::ALL)
    }
}

impl OpenSink for NullSink {
    type Options = NullOptions;

    fn describe() -> Description {
        Description::sink("null", "Takes frames and forgets them").version(env!("CARGO_PKG_VERSION"))
    }

    fn open(_options: NullOptions, _inputs: &[Arc<StreamSchema>], _context: Context) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// The plugin.
#[must_use]
pub fn factory() -> Factory {
    Factory::sink::<NullSink>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapedeck_sdk::Opener;
    use tapedeck_sdk::testing::FakeHost;

    #[test]
    fn it_takes_everything_and_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let host = FakeHost::new(folder.path());
        let schema = StreamSchema::builder("game", Kind::Attributes)
            .field("health", DataType::Float64)
            .build()
            .unwrap();
        let factory = factory();
        let Opener::Sink(open) = factory.opener() else { panic!("null is a sink") };
        let mut sink =
            open(&serde_json::json!({}), std::slice::from_ref(&schema), host.context("off")).unwrap();
        let mut pool = BatchPool::new(schema);
        for _ in 0..3 {
            let mut builder = pool.builder(1);
            builder.push_row(Timestamp(1)).set(0, 9.5);
            sink.write(0, builder.finish()).unwrap();
        }
        sink.flush().unwrap();
        sink.finish().unwrap();
        assert!(host.artifacts().is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_option_is_refused_by_name() {
        let error = factory().check(&serde_json::json!({ "path": "x" })).unwrap_err();
        assert!(error.message.contains("path"), "{error}");
    }
}
