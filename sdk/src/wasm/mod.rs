//! The WASM door, from the plugin's side: what [`export!`](crate::export) makes of a plugin when it is built for `wasm32-wasip2`.
//! `sdk/wit/plugin.wit` is the contract.
//!
//! One component instance holds one instance of the plugin, on one thread. Knows nothing of how components are loaded.

mod bindings;
mod host;
mod instance;

pub use bindings::{sink, source, transform};

use std::marker::PhantomData;

use instance::{Slot, read_json};
use source::tapedeck::plugin::types;

use crate::door::{ContextText, Make, read_streams, streams_text};
use crate::{Error, ErrorKind, Next, Opener, Sink, Source, Timestamp, Transform, Written};

/// A source as a component.
pub struct SourceGuest<M>(PhantomData<M>);

/// A transform as a component.
pub struct TransformGuest<M>(PhantomData<M>);

/// A sink as a component.
pub struct SinkGuest<M>(PhantomData<M>);

/// The two calls that need no instance.
macro_rules! description {
    ($factory:path) => {
        fn describe() -> String {
            serde_json::to_string($factory().descriptor()).expect("a descriptor is plain data")
        }

        fn check(options: String) -> Result<(), types::Error> {
            $factory().check(&read_json(&options)?).map_err(told)
        }
    };
}

thread_local! {
    static SOURCE: Slot<Box<dyn Source>> = const { Slot::new() };
    static TRANSFORM: Slot<Box<dyn Transform>> = const { Slot::new() };
    static SINK: Slot<Box<dyn Sink>> = const { Slot::new() };
}

impl<M: Make> source::exports::tapedeck::plugin::source::Guest for SourceGuest<M> {
    description!(M::factory);

    fn open(options: String, context: String) -> Result<String, types::Error> {
        let context = ContextText::read(&context, host::engine()).map_err(told)?;
        let factory = M::factory();
        let Opener::Source(open) = factory.opener() else { unreachable!("the factory was made of a source") };
        let source = open(&read_json(&options)?, context).map_err(told)?;
        let streams = streams_text(source.streams());
        SOURCE.with(|slot| slot.fill(source, Vec::new()));
        Ok(streams)
    }

    fn next(deadline: i64) -> Result<source::exports::tapedeck::plugin::source::NextState, types::Error> {
        use source::exports::tapedeck::plugin::source::NextState;
        host::tell_followers();
        SOURCE.with(|slot| {
            slot.run(|source, _| {
                Ok(match source.next(Timestamp(deadline))? {
                    Next::Batch { output, batch } => {
                        host::hand_over(output, &batch);
                        NextState::More
                    }
                    Next::Idle => NextState::Idle,
                    Next::End => NextState::End,
                })
            })
        })
    }

    fn stop() -> Result<bool, types::Error> {
        host::tell_followers();
        SOURCE.with(|slot| slot.run(|source, _| source.stop()))
    }
}

impl<M: Make> transform::exports::tapedeck::plugin::transform::Guest for TransformGuest<M> {
    description!(M::factory);

    fn open(options: String, context: String) -> Result<(), types::Error> {
        let context = ContextText::read(&context, host::engine()).map_err(told)?;
        let factory = M::factory();
        let Opener::Transform(open) = factory.opener() else {
            unreachable!("the factory was made of a transform")
        };
        let transform = open(&read_json(&options)?, context).map_err(told)?;
        TRANSFORM.with(|slot| slot.fill(transform, Vec::new()));
        Ok(())
    }

    fn streams(inputs: String) -> Result<String, types::Error> {
        let inputs = read_streams(&inputs).map_err(told)?;
        TRANSFORM.with(|slot| {
            slot.set_inputs(inputs.clone());
            slot.run(|transform, _| transform.streams(&inputs).map(|streams| streams_text(&streams)))
        })
    }

    fn process(input: u32, batch: Vec<u8>) -> Result<(), types::Error> {
        TRANSFORM.with(|slot| {
            slot.run(|transform, inputs| {
                let input = input as usize;
                transform.process(input, host::received(inputs, input, batch)?, &mut host::Push)
            })
        })
    }

    fn flush(now: i64) -> Result<(), types::Error> {
        TRANSFORM.with(|slot| slot.run(|transform, _| transform.flush(Timestamp(now), &mut host::Push)))
    }

    fn finish() -> Result<Option<String>, types::Error> {
        TRANSFORM.with(Slot::take)?.finish(&mut host::Push).map_err(told)
    }
}

impl<M: Make> sink::exports::tapedeck::plugin::sink::Guest for SinkGuest<M> {
    description!(M::factory);

    fn open(options: String, context: String, inputs: String) -> Result<(), types::Error> {
        let context = ContextText::read(&context, host::engine()).map_err(told)?;
        let inputs = read_streams(&inputs).map_err(told)?;
        let factory = M::factory();
        let Opener::Sink(open) = factory.opener() else { unreachable!("the factory was made of a sink") };
        let sink = open(&read_json(&options)?, &inputs, context).map_err(told)?;
        SINK.with(|slot| slot.fill(sink, inputs));
        Ok(())
    }

    fn write(input: u32, batch: Vec<u8>) -> Result<Vec<types::Refusal>, types::Error> {
        SINK.with(|slot| {
            slot.run(|sink, inputs| {
                let input = input as usize;
                sink.write(input, host::received(inputs, input, batch)?).map(refusals)
            })
        })
    }

    fn flush() -> Result<Vec<types::Refusal>, types::Error> {
        SINK.with(|slot| slot.run(|sink, _| sink.flush().map(refusals)))
    }

    fn finish() -> Result<Vec<types::Refusal>, types::Error> {
        SINK.with(Slot::take)?.finish().map(refusals).map_err(told)
    }
}

/// What a sink refused, as it crosses the door.
fn refusals(written: Written) -> Vec<types::Refusal> {
    let refusal = |refused: &crate::Refused| types::Refusal {
        // An input that does not fit into 32 bits was not given either.
        input: u32::try_from(refused.input).unwrap_or(u32::MAX),
        frames: refused.frames,
        first_seq: refused.seqs.0,
        last_seq: refused.seqs.1,
        reason: told(refused.reason.clone()),
    };
    written.refused().iter().map(refusal).collect()
}

/// An error as it crosses the door.
fn told(error: Error) -> types::Error {
    let kind = match error.kind {
        ErrorKind::Options => types::ErrorKind::Options,
        ErrorKind::Environment => types::ErrorKind::Environment,
        ErrorKind::Data => types::ErrorKind::Data,
        ErrorKind::Io => types::ErrorKind::Io,
        ErrorKind::Plugin => types::ErrorKind::Plugin,
    };
    types::Error { kind, message: error.message, hint: error.hint, option: error.option }
}

/// An error that came over the door.
fn heard(error: types::Error) -> Error {
    let kind = match error.kind {
        types::ErrorKind::Options => ErrorKind::Options,
        types::ErrorKind::Environment => ErrorKind::Environment,
        types::ErrorKind::Data => ErrorKind::Data,
        types::ErrorKind::Io => ErrorKind::Io,
        types::ErrorKind::Plugin => ErrorKind::Plugin,
    };
    Error { kind, message: error.message, hint: error.hint, option: error.option }
}
