//! What the doors have in common: what crosses as JSON (context, schemas, descriptor), and how a plugin behind a door is made. Batches
//! cross as slabs and never come here.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, Descriptor, Error, Factory, Host, OpenSink, OpenSource, OpenTransform, PluginKind, SessionInfo,
    StreamSchema, Timestamp,
};

/// A [`Context`] without its host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextText {
    /// The stage's id.
    pub id: String,
    /// The session's id.
    pub session: String,
    /// The pipeline file's text.
    pub pipeline: String,
    /// The session's folder.
    pub folder: String,
    /// When the session's clock was anchored, in nanoseconds since the Unix epoch.
    pub started_at_ns: Timestamp,
    /// How often the engine flushes, in nanoseconds.
    pub flush_interval_ns: u64,
    /// The `rate` of a polled source, in Hz.
    pub rate_hz: Option<f64>,
}

impl ContextText {
    /// The context as JSON.
    #[must_use]
    pub fn of(context: &Context) -> String {
        let text = Self {
            id: context.id.clone(),
            session: context.session.id.clone(),
            pipeline: context.session.pipeline.clone(),
            folder: context.session.folder.display().to_string(),
            started_at_ns: context.session.started_at,
            flush_interval_ns: u64::try_from(context.flush_interval.as_nanos()).unwrap_or(u64::MAX),
            rate_hz: context.rate_hz,
        };
        serde_json::to_string(&text).expect("a context is plain data")
    }

    /// The context that the text stands for, with the host of this side of the door.
    ///
    /// # Errors
    /// The text is no context.
    pub fn read(text: &str, host: Arc<dyn Host>) -> Result<Context, Error> {
        let text: Self = serde_json::from_str(text).map_err(|error| {
            Error::plugin(format!("the engine gave a context that can't be read: {error}"))
        })?;
        Ok(Context {
            id: text.id,
            session: SessionInfo {
                id: text.session,
                pipeline: text.pipeline,
                folder: PathBuf::from(text.folder),
                started_at: text.started_at_ns,
            },
            flush_interval: Duration::from_nanos(text.flush_interval_ns),
            rate_hz: text.rate_hz,
            host,
        })
    }
}

/// Schemas as a JSON array.
#[must_use]
pub fn streams_text(streams: &[Arc<StreamSchema>]) -> String {
    let streams: Vec<&StreamSchema> = streams.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&streams).expect("a schema is plain data")
}

/// The schemas of a JSON array.
///
/// # Errors
/// The text is no array of schemas.
pub fn read_streams(text: &str) -> Result<Vec<Arc<StreamSchema>>, Error> {
    let streams: Vec<StreamSchema> = serde_json::from_str(text)
        .map_err(|error| Error::plugin(format!("the streams are no JSON array of schemas: {error}")))?;
    Ok(streams.into_iter().map(Arc::new).collect())
}

/// How a plugin that goes through a door is made. [`export!`](crate::export) writes it.
pub trait Make: 'static {
    /// The plugin's factory.
    fn factory() -> Factory;
}

/// Makes a source of its type.
pub struct SourceOf<P>(PhantomData<P>);

/// Makes a transform of its type.
pub struct TransformOf<P>(PhantomData<P>);

/// Makes a sink of its type.
pub struct SinkOf<P>(PhantomData<P>);

impl<P: OpenSource> Make for SourceOf<P> {
    fn factory() -> Factory {
        Factory::source::<P>()
    }
}

impl<P: OpenTransform> Make for TransformOf<P> {
    fn factory() -> Factory {
        Factory::transform::<P>()
    }
}

impl<P: OpenSink> Make for SinkOf<P> {
    fn factory() -> Factory {
        Factory::sink::<P>()
    }
}

/// The longest descriptor, in bytes.
const DESCRIPTOR_BYTES_MAX: usize = 1 << 20;

/// The descriptor in a text that a plugin gave; `kind` is what it was found to be.
///
/// # Errors
/// The text is no descriptor, or one that can't be true.
pub fn read_descriptor(text: &str, kind: PluginKind) -> Result<Descriptor, Error> {
    if text.len() > DESCRIPTOR_BYTES_MAX {
        let length = text.len();
        return Err(Error::plugin(format!(
            "its descriptor has {length} bytes, the limit is {DESCRIPTOR_BYTES_MAX}"
        )));
    }
    let descriptor: Descriptor = serde_json::from_str(text)
        .map_err(|error| Error::plugin(format!("its descriptor can't be read: {error}")))?;
    let name = &descriptor.name;
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let plain =
        name.len() <= 128 && name.chars().all(letter) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if !plain {
        return Err(Error::plugin(format!("it calls itself {name:?}"))
            .with_hint("a plugin's name has small letters, digits, \"_\" and \"-\", a letter first"));
    }
    if descriptor.kind != kind {
        return Err(Error::plugin(format!("it describes itself as a {}, but is a {kind}", descriptor.kind)));
    }
    if descriptor.options.get("type") != Some(&Value::from("object")) {
        return Err(Error::plugin("the JSON Schema of its options is not that of an object"));
    }
    let plain = |extension: &String| {
        !extension.is_empty()
            && extension.len() <= 32
            && extension.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
    };
    if descriptor.extension.as_ref().is_some_and(|extension| !plain(extension)) {
        return Err(Error::plugin(format!("its file name extension is {:?}", descriptor.extension)));
    }
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::testing::{FakeHost, samples};

    #[test]
    fn a_context_and_schemas_survive_a_door() {
        let host = FakeHost::new(std::path::Path::new("."));
        let context = host.context("game");
        let back = ContextText::read(&ContextText::of(&context), host).unwrap();
        assert_eq!((&back.id, &back.session, back.rate_hz), (&context.id, &context.session, context.rate_hz));
        assert_eq!(back.flush_interval, context.flush_interval);
        let streams: Vec<_> = Kind::ALL.iter().map(|&kind| samples::schema(kind, kind.name())).collect();
        assert_eq!(read_streams(&streams_text(&streams)).unwrap(), streams);
        assert!(read_streams("{}").is_err());
    }
}
