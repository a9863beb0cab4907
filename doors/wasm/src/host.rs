//! What a component can ask of the engine: `tapedeck:plugin/host`.

use std::path::Path;

use tapedeck_sdk::{Error, ErrorKind, Role};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::bindings::types;
use crate::state::State;

/// The interface's name.
pub(crate) const HOST: &str = "tapedeck:plugin/host@0.1.0";
/// The longest message that a component can have shown.
const MESSAGE_CHARACTERS_MAX: usize = 1000;

/// Gives the interface to all components.
pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut host = linker.instance(HOST)?;
    host.func_wrap("now", |store: StoreContextMut<'_, State>, (): ()| {
        let state = store.data();
        let live = state.host.as_ref().filter(|_| state.live_clock);
        Ok((live.map_or(state.began, |host| host.now()).nanos(),))
    })?;
    host.func_wrap("failed", |store: StoreContextMut<'_, State>, (frames,): (u64,)| {
        if let Some(host) = &store.data().host {
            host.failed(frames);
        }
        Ok(())
    })?;
    host.func_wrap("warn", |store: StoreContextMut<'_, State>, (message,): (String,)| {
        if let Some(host) = &store.data().host {
            host.warn(&message.chars().take(MESSAGE_CHARACTERS_MAX).collect::<String>());
        }
        Ok(())
    })?;
    host.func_wrap("artifact", |store: StoreContextMut<'_, State>, (name,): (String,)| {
        Ok((artifact(store.data(), Path::new(&name)).map_err(told),))
    })?;
    host.func_wrap("loss", |store: StoreContextMut<'_, State>, (stream,): (String,)| {
        let loss = store.data().host.as_ref().map(|host| host.loss(&stream)).unwrap_or_default();
        Ok((types::Losses { late: loss.late, dropped: loss.dropped, failed: loss.failed },))
    })?;
    host.func_wrap("push", |mut store: StoreContextMut<'_, State>, (output, slab): (u32, WasmList<u8>)| {
        // Taken out, so that the component's memory can be read beside it.
        let mut pushed = std::mem::take(&mut store.data_mut().pushed);
        pushed.take(output, slab.as_le_slice(&store));
        store.data_mut().pushed = pushed;
        Ok(())
    })?;
    Ok(())
}

fn artifact(state: &State, name: &Path) -> Result<String, Error> {
    match (&state.host, &state.scratch) {
        (Some(host), Some(scratch)) => scratch.show(name, &host.artifact(name, Role::Recording)?),
        _ => Err(Error::plugin("only a sink makes files")),
    }
}

/// An error as it crosses the door.
pub(crate) fn told(error: Error) -> types::Error {
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
pub(crate) fn heard(error: types::Error) -> Error {
    let kind = match error.kind {
        types::ErrorKind::Options => ErrorKind::Options,
        types::ErrorKind::Environment => ErrorKind::Environment,
        types::ErrorKind::Data => ErrorKind::Data,
        types::ErrorKind::Io => ErrorKind::Io,
        types::ErrorKind::Plugin => ErrorKind::Plugin,
    };
    Error { kind, message: error.message, hint: error.hint, option: error.option }
}
