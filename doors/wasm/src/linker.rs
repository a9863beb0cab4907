//! Everything that a component can import: the engine, and WASI 0.2 as far as the sandbox goes.

use std::time::Duration;

use tokio::time::error::Elapsed;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host as _, HostPollable as _};
use wasmtime_wasi::runtime::in_tokio;

use crate::host;
use crate::state::State;
use crate::ticker::ticks;

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
            waiting(&mut store, |table, left| {
                in_tokio(async { tokio::time::timeout(left, table.poll(pollables)).await })
            })
            .map(|ready| (ready,))
        },
    )?;
    poll.func_wrap(
        "[method]pollable.block",
        |mut store: StoreContextMut<'_, State>, (pollable,): (Resource<DynPollable>,)| {
            waiting(&mut store, |table, left| {
                in_tokio(async { tokio::time::timeout(left, table.block(pollable)).await })
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Waits for as long as is left of the time of the call. What ends it then is the same that ends a call that computes.
fn waiting<R>(
    store: &mut StoreContextMut<'_, State>,
    wait: impl FnOnce(&mut ResourceTable, Duration) -> Result<wasmtime::Result<R>, Elapsed>,
) -> wasmtime::Result<R> {
    let (ticker, left) = (store.data().ticker.clone(), store.data().left());
    let resting = ticker.rest();
    let waited = wait(&mut store.data_mut().table, left);
    drop(resting);
    // The ticker may have stood still meanwhile.
    let left = store.data().left();
    store.set_epoch_deadline(ticks(left));
    waited.unwrap_or_else(|_elapsed| Err(wasmtime::Trap::Interrupt.into()))
}
