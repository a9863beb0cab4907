//! Everything that a component can import: the engine, and WASI 0.2 as far as the sandbox goes.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host as _, HostPollable as _};
use wasmtime_wasi::runtime::in_tokio;

use crate::host;
use crate::state::State;

pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    bound_waiting(&mut linker)?;
    host::add_to(&mut linker)?;
    Ok(linker)
}

/// Waiting for a clock or a socket ends with the time of the call, like everything that a component does: while it waits it runs no
/// code of its own that could be interrupted.
fn bound_waiting(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut poll = linker.instance("wasi:io/poll@0.2.12")?;
    poll.func_wrap(
        "poll",
        |mut store: StoreContextMut<'_, State>, (pollables,): (Vec<Resource<DynPollable>>,)| {
            let left = store.data().left();
            let table = &mut store.data_mut().table;
            in_tokio(async { tokio::time::timeout(left, table.poll(pollables)).await })
                .unwrap_or_else(|_elapsed| Err(too_long()))
                .map(|ready| (ready,))
        },
    )?;
    poll.func_wrap(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, State>, (pollable,): (Resource<DynPollable>,)| {
            let left = store.data().left();
            let table = &mut store.data_mut().table;
            in_tokio(async { tokio::time::timeout(left, table.block(pollable)).await })
                .unwrap_or_else(|_elapsed| Err(too_long()))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What ends a call that waits: the same that ends one that computes.
fn too_long() -> wasmtime::Error {
    wasmtime::Trap::Interrupt.into()
}
