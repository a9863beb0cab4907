//! One type behind which every plugin stands, however it got in. It turns typed options into the untyped ones that the engine has.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    Context, Description, Descriptor, Error, ErrorKind, Format, OpenSink, OpenSource, OpenTransform,
    PluginKind, Sink, Source, StreamSchema, Transform,
};

type OpenSourceFn = dyn Fn(&Value, Context) -> Result<Box<dyn Source>, Error> + Send + Sync;
type OpenTransformFn = dyn Fn(&Value, Context) -> Result<Box<dyn Transform>, Error> + Send + Sync;
/// How a sink is opened for its input streams.
pub type OpenSinkFn =
    dyn Fn(&Value, &[Arc<StreamSchema>], Context) -> Result<Box<dyn Sink>, Error> + Send + Sync;
type CheckFn = dyn Fn(&Value) -> Result<(), Error> + Send + Sync;

/// How an instance is made. Which variant it is always agrees with the descriptor's kind.
pub enum Opener {
    /// Opens a source.
    Source(Box<OpenSourceFn>),
    /// Opens a transform.
    Transform(Box<OpenTransformFn>),
    /// Opens a sink for its input streams.
    Sink(Box<OpenSinkFn>),
}

impl Opener {
    fn kind(&self) -> PluginKind {
        match self {
            Self::Source(_) => PluginKind::Source,
            Self::Transform(_) => PluginKind::Transform,
            Self::Sink(_) => PluginKind::Sink,
        }
    }
}

/// A plugin: its descriptor, how its options are checked, how it is opened and, for a sink, how its files are read back.
pub struct Factory {
    descriptor: Descriptor,
    check: Box<CheckFn>,
    opener: Opener,
    format: Option<Arc<dyn Format>>,
}

impl Factory {
    /// A source written against this crate.
    #[must_use]
    pub fn source<P: OpenSource>() -> Self {
        let open = |options: &Value, context: Context| {
            Ok(Box::new(P::open(parse(options)?, context)?) as Box<dyn Source>)
        };
        Self::typed::<P::Options>(P::describe(), P::check, Opener::Source(Box::new(open)))
    }

    /// A transform written against this crate.
    #[must_use]
    pub fn transform<P: OpenTransform>() -> Self {
        let open = |options: &Value, context: Context| {
            Ok(Box::new(P::open(parse(options)?, context)?) as Box<dyn Transform>)
        };
        Self::typed::<P::Options>(P::describe(), P::check, Opener::Transform(Box::new(open)))
    }

    /// A sink written against this crate.
    #[must_use]
    pub fn sink<P: OpenSink>() -> Self {
        let open = |options: &Value, inputs: &[Arc<StreamSchema>], context: Context| {
            Ok(Box::new(P::open(parse(options)?, inputs, context)?) as Box<dyn Sink>)
        };
        Self::typed::<P::Options>(P::describe(), P::check, Opener::Sink(Box::new(open)))
    }

    /// A plugin that comes in through another door: everything is given as data and functions.
    ///
    /// # Errors
    /// The opener is of another kind than the descriptor.
    pub fn from_parts(descriptor: Descriptor, check: Box<CheckFn>, opener: Opener) -> Result<Self, Error> {
        if descriptor.kind != opener.kind() {
            let kind = descriptor.kind;
            return Err(Error::plugin(format!(
                "\"{}\" describes itself as a {kind} but opens a {}",
                descriptor.name,
                opener.kind()
            )));
        }
        Ok(Self { descriptor, check, opener, format: None })
    }

    /// Adds the reader of the files that this sink writes.
    #[must_use]
    pub fn with_format(mut self, format: impl Format + 'static) -> Self {
        self.format = Some(Arc::new(format));
        self
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Checks options; free of side effects.
    ///
    /// # Errors
    /// Options that the plugin refuses.
    pub fn check(&self, options: &Value) -> Result<(), Error> {
        (self.check)(options)
    }

    /// How an instance is made.
    #[must_use]
    pub fn opener(&self) -> &Opener {
        &self.opener
    }

    /// The reader of the files that this sink writes.
    #[must_use]
    pub fn format(&self) -> Option<&Arc<dyn Format>> {
        self.format.as_ref()
    }

    fn typed<O: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
        description: Description,
        check: fn(&O) -> Result<(), Error>,
        opener: Opener,
    ) -> Self {
        let options = schemars::schema_for!(O).to_value();
        let check = move |options: &Value| check(&parse(options)?);
        Self { descriptor: Descriptor { description, options }, check: Box::new(check), opener, format: None }
    }
}

fn parse<O: serde::de::DeserializeOwned>(options: &Value) -> Result<O, Error> {
    O::deserialize(options).map_err(|error| Error::new(ErrorKind::Options, error.to_string()))
}
