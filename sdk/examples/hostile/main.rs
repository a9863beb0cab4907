//! A transform that breaks the rule it is told to, at the batch it is told to. What the engine makes of it is a test.

use tapedeck_sdk::prelude::*;

/// Options of the `hostile` transform.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct HostileOptions {
    /// Which rule.
    #[serde(default)]
    fault: String,
    /// At which batch, counted from 1 and across instances as long as the host counts failures.
    #[serde(default = "one")]
    at: u64,
    /// A file that it tries to make.
    #[serde(default)]
    path: std::path::PathBuf,
}

fn one() -> u64 {
    1
}

struct Hostile {
    options: HostileOptions,
    context: Context,
    pool: Option<BatchPool>,
    batches: u64,
    hoard: Vec<Vec<u8>>,
}

impl Hostile {
    /// The batch as a fresh copy with other numbers.
    fn renumbered(&mut self, batch: &Batch, number: impl Fn(u64) -> u64) -> Batch {
        let pool = self.pool.as_mut().expect("streams was called");
        let mut builder = pool.builder(batch.rows());
        builder.append(batch, 0..batch.rows());
        builder.seq_mut().iter_mut().for_each(|seq| *seq = number(*seq));
        builder.finish()
    }

    fn misbehave(&mut self, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        match self.options.fault.as_str() {
            "loop" => loop {
                std::hint::black_box(());
            },
            "sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
            "nap" => {
                std::thread::sleep(std::time::Duration::from_millis(1));
                out.push(0, batch);
            }
            "counts" => {
                self.context.host.absent(3);
                self.context.host.left_out(4);
            }
            "memory" => loop {
                self.hoard.push(vec![1; 1 << 20]);
            },
            "trap" | "hold" => panic!("as I was told"),
            "exit" => std::process::exit(0),
            "schema" => {
                let schema = StreamSchema::builder(&self.context.id, Kind::Attributes)
                    .field("another", DataType::Int8)
                    .field("third", DataType::Utf8)
                    .build()?;
                let mut pool = BatchPool::new(schema);
                let mut builder = pool.builder(1);
                builder.push_row(Timestamp(0));
                out.push(0, builder.finish());
            }
            "order" => {
                let last = batch.seq()[0];
                let earlier = self.renumbered(&batch, |seq| seq.saturating_sub(1 + last));
                out.push(0, batch);
                out.push(0, earlier);
            }
            "seq" => {
                let made_up = self.renumbered(&batch, |seq| seq + 1_000_000);
                out.push(0, made_up);
            }
            "output" => out.push(99, batch),
            "large" => push_large(),
            "flood" => loop {
                out.push(0, batch.clone());
            },
            "error" => return Err(Error::data("can't make sense of this")),
            "files" => {
                let found = std::fs::read_dir("/").map(Iterator::count).map_err(|error| error.to_string());
                let made = std::fs::write(&self.options.path, "x").map_err(|error| error.to_string());
                self.context.host.warn(&format!("{found:?} {made:?}"));
            }
            "network" => {
                let found =
                    std::net::TcpStream::connect("127.0.0.1:1").map(drop).map_err(|error| error.kind());
                self.context.host.warn(&format!("{found:?}"));
            }
            "environment" => {
                let found: Vec<_> = std::env::vars().collect();
                self.context.host.warn(&format!("{found:?}"));
            }
            "artifact" => {
                let made = self.context.artifact(Some(std::path::Path::new("../../evil")), "txt");
                self.context.host.warn(&format!("{:?}", made.map_err(|error| error.message)));
            }
            _ => out.push(0, batch),
        }
        Ok(())
    }
}

/// Hands on 2 GiB that are no batch.
#[cfg(target_family = "wasm")]
fn push_large() {
    tapedeck_sdk::wasm::source::tapedeck::plugin::host::push(0, &vec![0; (1 << 31) - (1 << 20)]);
}

#[cfg(not(target_family = "wasm"))]
fn push_large() {}

impl Transform for Hostile {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let renamed = |input: &Arc<StreamSchema>| {
            let builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            input.payload().iter().cloned().fold(builder, |builder, field| builder.push(field)).build()
        };
        let streams = inputs.iter().map(renamed).collect::<Result<Vec<_>, _>>()?;
        self.pool = streams.first().cloned().map(BatchPool::new);
        Ok(streams)
    }

    fn process(&mut self, _input: usize, batch: Batch, out: &mut dyn Outputs) -> Result<(), Error> {
        self.batches += 1;
        let own = self.renumbered(&batch, |seq| seq);
        if ["leak", "unfinished"].contains(&self.options.fault.as_str()) {
            self.hoard.push(vec![1; 10 << 10]);
        }
        if self.batches == self.options.at {
            return self.misbehave(own, out);
        }
        if self.options.fault != "hold" {
            out.push(0, own);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        match self.options.fault.as_str() {
            "unfinished" => Err(Error::data("not yet")),
            "verbose" => Ok(Some("!".repeat(1 << 20))),
            _ => Ok(None),
        }
    }
}

impl OpenTransform for Hostile {
    type Options = HostileOptions;

    fn describe() -> Description {
        Description::transform("hostile", "Breaks a rule")
    }

    fn open(options: HostileOptions, context: Context) -> Result<Self, Error> {
        match options.fault.as_str() {
            "open" => panic!("as I was told"),
            "abort" => std::process::abort(),
            _ => Ok(Self { options, context, pool: None, batches: 0, hoard: Vec::new() }),
        }
    }
}

tapedeck_sdk::export!(transform Hostile);
