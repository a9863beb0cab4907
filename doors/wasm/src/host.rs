//! What a component can ask of the engine: `tapedeck:plugin/host`.

use std::path::Path;

use tapedeck_sdk::{Error, ErrorKind, Loss, Role, Told, Watermark};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, WasmList};

use crate::bindings::types;
use crate::state::State;

/// The interface's name.
pub(crate) const HOST: &str = "tapedeck:plugin/host@0.2.0";
/// The longest warning and label of a component's, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 1000;
/// The longest report and part of an error, in characters.
pub(crate) const TEXT_CHARACTERS_MAX: usize = 64 << 10;
/// The longest path to an option.
const OPTION_KEYS_MAX: usize = 64;

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
    host.func_wrap("partial", |store: StoreContextMut<'_, State>, (frames,): (u64,)| {
        if let Some(host) = &store.data().host {
            host.partial(frames);
        }
        Ok(())
    })?;
    host.func_wrap("absent", |store: StoreContextMut<'_, State>, (ticks,): (u64,)| {
        if let Some(host) = &store.data().host {
            host.absent(ticks);
        }
        Ok(())
    })?;
    host.func_wrap("left-out", |store: StoreContextMut<'_, State>, (frames,): (u64,)| {
        if let Some(host) = &store.data().host {
            host.left_out(frames);
        }
        Ok(())
    })?;
    host.func_wrap("warn", |store: StoreContextMut<'_, State>, (message,): (String,)| {
        if let Some(host) = &store.data().host {
            host.warn(&shortened(message, MESSAGE_CHARACTERS_MAX));
        }
        Ok(())
    })?;
    host.func_wrap(
        "artifact",
        |mut store: StoreContextMut<'_, State>, (name, role): (String, types::Role)| {
            Ok((artifact(store.data_mut(), Path::new(&name), role).map_err(told),))
        },
    )?;
    host.func_wrap("loss", |store: StoreContextMut<'_, State>, (stream,): (String,)| {
        let loss = store.data().host.as_ref().map(|host| host.loss(&stream)).unwrap_or_default();
        let Loss { late, dropped, failed, partial } = loss;
        Ok((types::Losses { late, dropped, failed, partial },))
    })?;
    host.func_wrap("push", |mut store: StoreContextMut<'_, State>, (output, slab): (u32, WasmList<u8>)| {
        // Taken out, so that the component's memory can be read beside it.
        let mut pushed = std::mem::take(&mut store.data_mut().pushed);
        let taken = pushed.take(output, slab.as_le_slice(&store));
        store.data_mut().pushed = pushed;
        taken
    })?;
    session(&mut host)?;
    following(&mut host)
}

/// What is about the session as a whole: marks, pauses, and what the stage is told.
fn session(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("mark", |mut store: StoreContextMut<'_, State>, (label,): (String,)| {
        if let Some(host) = store.data_mut().control() {
            host.mark(&shortened(label, MESSAGE_CHARACTERS_MAX));
        }
        Ok(())
    })?;
    host.func_wrap("pause", |mut store: StoreContextMut<'_, State>, (): ()| {
        if let Some(host) = store.data_mut().control() {
            host.pause();
        }
        Ok(())
    })?;
    host.func_wrap("resume", |mut store: StoreContextMut<'_, State>, (): ()| {
        if let Some(host) = store.data_mut().control() {
            host.resume();
        }
        Ok(())
    })?;
    host.func_wrap("is-paused", |store: StoreContextMut<'_, State>, (): ()| {
        Ok((store.data().host.as_ref().is_some_and(|host| host.is_paused()),))
    })?;
    host.func_wrap("told", |store: StoreContextMut<'_, State>, (): ()| {
        let told = store.data().host.as_ref().and_then(|host| host.told());
        let message = |told: Told| types::Message { name: told.name, value: told.value.to_string() };
        Ok((told.map(message),))
    })
}

/// How far the recording of a source's outputs is.
fn following(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("follow", |store: StoreContextMut<'_, State>, (output,): (u32,)| {
        let state = store.data();
        let followed = match &state.host {
            Some(host) => state.followed.follow(output, host.as_ref()),
            None => Err(Error::plugin("a descriptor follows nothing")),
        };
        Ok((followed.map_err(told),))
    })?;
    host.func_wrap("reached", |store: StoreContextMut<'_, State>, (output,): (u32,)| {
        let mark = store.data().followed.reached(output);
        let mark =
            mark.map(|Watermark { written, flushed, lost }| types::Watermark { written, flushed, lost });
        Ok((mark,))
    })
}

/// A text of the component's, cut off where it is too long.
pub(crate) fn shortened(mut text: String, characters_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters_max) {
        text.truncate(end);
    }
    text
}

fn artifact(state: &mut State, name: &Path, role: types::Role) -> Result<String, Error> {
    let role = match role {
        types::Role::Recording => Role::Recording,
        types::Role::RecordingOf(input) => Role::RecordingOf(input as usize),
        types::Role::Beside => Role::Beside,
    };
    match (&state.host, &mut state.scratch) {
        (Some(host), Some(scratch)) => scratch.show(name, &host.artifact(name, role)?),
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
    let part = |text: String| shortened(text, TEXT_CHARACTERS_MAX);
    Error {
        kind,
        message: part(error.message),
        hint: error.hint.map(part),
        option: error.option.into_iter().take(OPTION_KEYS_MAX).map(part).collect(),
    }
}
