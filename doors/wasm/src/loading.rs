//! From a file to a factory: what sort of component it is, whether the engine gives all that it asks for, and what it says of itself.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tapedeck_sdk::{
    Context, Descriptor, Error, Factory, Opener, PluginKind, Sink, Source, StreamSchema, Transform, door,
};
use wasmtime::component::Component;

use crate::bindings::{sink, source, transform};
use crate::door::Shared;
use crate::instance::Instance;
use crate::sandbox::Sandbox;
use crate::state::State;

/// The longest component, in bytes.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;
/// The interfaces' package, and the version of the contract that this engine speaks.
const PACKAGE: &str = "tapedeck:plugin";
const VERSION: &str = "0.2.0";

/// A component that is ready to be instantiated.
pub(crate) enum Pre {
    Source(source::SourcePluginPre<State>),
    Transform(transform::TransformPluginPre<State>),
    Sink(sink::SinkPluginPre<State>),
}

/// A loaded component.
pub(crate) struct Plugin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pre: Pre,
}

/// Loads a component.
pub(crate) fn load(shared: &Arc<Shared>, path: &Path) -> Result<Factory, Error> {
    let told = |error: Error| {
        let message = format!("can't load a WASM plugin: {}: {}", error.message, path.display());
        Error { message, ..error }
    };
    let plugin = read(shared, path).map_err(told)?;
    let descriptor = plugin.descriptor().map_err(told)?;
    factory(Arc::new(plugin), descriptor).map_err(told)
}

fn read(shared: &Arc<Shared>, path: &Path) -> Result<Plugin, Error> {
    let unreadable = |error: std::io::Error| {
        Error::environment(error.to_string()).with_hint("give the path of a component that can be read")
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > COMPONENT_BYTES_MAX {
        return Err(Error::plugin(format!("it has {length} bytes, the limit is {COMPONENT_BYTES_MAX}")));
    }
    let wasm = std::fs::read(path).map_err(unreadable)?;
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => {
            return Err(Error::plugin("it is a core module, not a component")
                .with_hint("build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"));
        }
        _ => {
            return Err(Error::plugin("it is no WASM at all: it does not begin with \"\\0asm\"")
                .with_hint("is the file whole?"));
        }
    }
    let component = shared.cache.component(&shared.engine, &wasm).map_err(|error| {
        Error::plugin(format!("it is damaged or not valid: {}", error.root_cause()))
            .with_hint("is the file whole?")
    })?;
    let pre = pre(shared, &component)?;
    Ok(Plugin { shared: shared.clone(), pre })
}

/// Looks at what the component imports and exports.
fn pre(shared: &Arc<Shared>, component: &Component) -> Result<Pre, Error> {
    let types = component.component_type();
    let exports: Vec<String> = types.exports(&shared.engine).map(|(name, _)| name.to_owned()).collect();
    let kind = kind(&exports)?;
    let unknown: Vec<String> = types
        .imports(&shared.engine)
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.starts_with("wasi:") && !name.starts_with("tapedeck:plugin/"))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::plugin(format!(
            "it imports what the engine does not give: {}",
            unknown.join(", ")
        ))
        .with_hint("a plugin imports tapedeck:plugin/host and WASI 0.2, nothing else"));
    }
    let missing = |error: wasmtime::Error| {
        Error::plugin(format!("it asks for what the engine does not give: {error:#}"))
            .with_hint(format!("it has to keep {PACKAGE}@{VERSION}; see sdk/wit/plugin.wit"))
    };
    let instance = shared.linker.instantiate_pre(component).map_err(missing)?;
    Ok(match kind {
        PluginKind::Source => Pre::Source(source::SourcePluginPre::new(instance).map_err(missing)?),
        PluginKind::Transform => {
            Pre::Transform(transform::TransformPluginPre::new(instance).map_err(missing)?)
        }
        PluginKind::Sink => Pre::Sink(sink::SinkPluginPre::new(instance).map_err(missing)?),
    })
}

/// Which world it is of. The version stands in the names, so it is known before anything runs.
fn kind(exports: &[String]) -> Result<PluginKind, Error> {
    let kinds =
        [("source", PluginKind::Source), ("transform", PluginKind::Transform), ("sink", PluginKind::Sink)];
    let mut found = Vec::new();
    for export in exports {
        let Some(rest) = export.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        let (interface, version) = rest.split_once('@').unwrap_or((rest, "none"));
        let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == interface) else { continue };
        if !compatible(version) {
            return Err(Error::plugin(format!(
                "it was built for version {version} of the contract, this engine speaks {VERSION}"
            ))
            .with_hint(
                "build it with the SDK of this version of tapedeck, or take another version of tapedeck",
            ));
        }
        found.push(*kind);
    }
    match found.as_slice() {
        [kind] => Ok(*kind),
        [] => Err(Error::plugin(format!("it exports no {PACKAGE}/source, transform or sink"))
            .with_hint("is this a Tapedeck plugin?")),
        _ => Err(Error::plugin("it is more than one plugin").with_hint("a component holds one plugin")),
    }
}

/// Before 1.0 a minor version may change anything; a patch may only add.
fn compatible(version: &str) -> bool {
    let minor = |version: &str| {
        let mut parts = version.split('.').map(str::to_owned);
        (parts.next(), parts.next())
    };
    minor(version) == minor(VERSION)
}

impl Plugin {
    pub(crate) fn kind(&self) -> PluginKind {
        match &self.pre {
            Pre::Source(_) => PluginKind::Source,
            Pre::Transform(_) => PluginKind::Transform,
            Pre::Sink(_) => PluginKind::Sink,
        }
    }

    /// Asks the component what it is, in a sandbox that grants nothing.
    fn descriptor(&self) -> Result<Descriptor, Error> {
        let text = self.ask("describe", |plugin, sandbox, state| {
            let (shared, timeout, output) = (&plugin.shared, sandbox.call_timeout.0, sandbox.output.0);
            match &plugin.pre {
                Pre::Source(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?
                    .call("describe", timeout, |guest, store| {
                        guest.tapedeck_plugin_source().call_describe(store).map(Ok)
                    }),
                Pre::Transform(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?
                    .call("describe", timeout, |guest, store| {
                        guest.tapedeck_plugin_transform().call_describe(store).map(Ok)
                    }),
                Pre::Sink(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?.call(
                    "describe",
                    timeout,
                    |guest, store| guest.tapedeck_plugin_sink().call_describe(store).map(Ok),
                ),
            }
            .map_err(Error::from)
        })?;
        let mut descriptor = door::read_descriptor(&text, self.kind())?;
        Sandbox::describe(&mut descriptor.options)?;
        Ok(descriptor)
    }

    /// Lets the component look at options.
    fn check(&self, options: &Value) -> Result<(), Error> {
        let (_, own) = Sandbox::part(options)?;
        let own = own.to_string();
        self.ask("check", |plugin, sandbox, state| {
            let (shared, timeout, output) = (&plugin.shared, sandbox.call_timeout.0, sandbox.output.0);
            match &plugin.pre {
                Pre::Source(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?
                    .call("check", timeout, |guest, store| {
                        guest.tapedeck_plugin_source().call_check(store, &own)
                    }),
                Pre::Transform(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?
                    .call("check", timeout, |guest, store| {
                        guest.tapedeck_plugin_transform().call_check(store, &own)
                    }),
                Pre::Sink(pre) => Instance::new(shared, state, output, |store| pre.instantiate(store))?.call(
                    "check",
                    timeout,
                    |guest, store| guest.tapedeck_plugin_sink().call_check(store, &own),
                ),
            }
            .map_err(Error::from)
        })
    }

    fn ask<R>(
        &self,
        _doing: &str,
        ask: impl FnOnce(&Self, &Sandbox, State) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let sandbox = Sandbox::default();
        let state = State::new(&self.shared, &sandbox, None, false)?;
        ask(self, &sandbox, state)
    }
}

fn factory(plugin: Arc<Plugin>, descriptor: Descriptor) -> Result<Factory, Error> {
    let own = plugin.clone();
    let opener = match plugin.kind() {
        PluginKind::Source => Opener::Source(Box::new(move |options: &Value, context: Context| {
            Ok(Box::new(crate::source::WasmSource::open(own.clone(), options, context)?) as Box<dyn Source>)
        })),
        PluginKind::Transform => Opener::Transform(Box::new(move |options: &Value, context: Context| {
            let transform = crate::transform::WasmTransform::open(own.clone(), options, context)?;
            Ok(Box::new(transform) as Box<dyn Transform>)
        })),
        PluginKind::Sink => {
            Opener::Sink(Box::new(move |options: &Value, inputs: &[Arc<StreamSchema>], context: Context| {
                let sink = crate::sink::WasmSink::open(own.clone(), options, inputs, context)?;
                Ok(Box::new(sink) as Box<dyn Sink>)
            }))
        }
    };
    Factory::from_parts(descriptor, Box::new(move |options| plugin.check(options)), opener)
}
