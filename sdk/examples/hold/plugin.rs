//! A transform that holds each batch back until it is flushed, and says at its end how many. The same through each door is a test.

use tapedeck_sdk::prelude::*;

/// Options of the `hold` transform: none.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldOptions {}

/// A transform that holds batches back.
pub(crate) struct Hold {
    context: Context,
    /// What each input's rows are called on their way out.
    outputs: Vec<Relabel>,
    held: Vec<(usize, Batch)>,
    batches: u64,
    /// When it was flushed last.
    flushed: Option<Timestamp>,
}

impl Hold {
    fn hand_on(&mut self, out: &mut dyn Outputs) {
        self.held.drain(..).for_each(|(output, batch)| out.push(output, batch));
    }
}

impl Transform for Hold {
    fn streams(&mut self, inputs: &[Arc<StreamSchema>]) -> Result<Vec<Arc<StreamSchema>>, Error> {
        let renamed = |input: &Arc<StreamSchema>| {
            let fields = input.payload().iter().cloned();
            let builder = input.to_builder().name(&self.context.stream_name(input, inputs));
            fields.fold(builder, |builder, field| builder.push(field)).build()
        };
        let streams = inputs.iter().map(renamed).collect::<Result<Vec<_>, _>>()?;
        let pairs = inputs.iter().zip(&streams);
        let relabel =
            |(input, stream): (&Arc<_>, &Arc<_>)| Relabel::new(Arc::clone(input), Arc::clone(stream));
        self.outputs = pairs.map(relabel).collect::<Result<_, Error>>()?;
        Ok(streams)
    }

    fn process(&mut self, input: usize, batch: Batch, _out: &mut dyn Outputs) -> Result<(), Error> {
        self.batches += 1;
        self.held.push((input, self.outputs[input].apply(batch)?));
        Ok(())
    }

    fn flush(&mut self, now: Timestamp, out: &mut dyn Outputs) -> Result<(), Error> {
        self.flushed = Some(now);
        self.hand_on(out);
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Outputs) -> Result<Option<String>, Error> {
        self.hand_on(out);
        let flushed =
            self.flushed.map_or("never flushed".to_owned(), |at| format!("flushed at {}", at.nanos()));
        Ok((self.batches > 0).then(|| format!("{} batches held back, {flushed}", self.batches)))
    }
}

impl OpenTransform for Hold {
    type Options = HoldOptions;

    fn describe() -> Description {
        Description::transform("hold", "Holds batches back until it is flushed").takes(&[Kind::Attributes])
    }

    fn open(_options: HoldOptions, context: Context) -> Result<Self, Error> {
        Ok(Self { context, outputs: Vec::new(), held: Vec::new(), batches: 0, flushed: None })
    }
}
