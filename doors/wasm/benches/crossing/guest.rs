//! The guests: components that hand on what they are given, once as bytes and once as typed lists. Knows no plugin contract: the
//! engine is set up as the door does it, the interface is the smallest that there can be.

use tapedeck_sdk::{Batch, BatchPool};
use wasmtime::component::{Component, Instance, Linker, Lower, TypedFunc, WasmList};
use wasmtime::{Config, Engine, Store, StoreContextMut};

/// A component whose `cross` calls `push` with what it was given; `PARAMS` are those of both, `CORE` what they are flattened to.
const GUEST: &str = r#"(component
    (import "push" (func $push PARAMS))
    (core module $libc
        (memory (export "memory") 64)
        (global $next (mut i32) (i32.const 1024))
        (func (export "reset") (global.set $next (i32.const 1024)))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $libc (instantiate $libc))
    (core func $push (canon lower (func $push) (memory (core memory $libc "memory"))))
    (core module $guest
        (import "host" "push" (func $push (param CORE)))
        (import "libc" "reset" (func $reset))
        (func (export "cross") (param CORE) GETS (call $push) (call $reset)))
    (core instance $guest (instantiate $guest
        (with "host" (instance (export "push" (func $push))))
        (with "libc" (instance $libc))))
    (func (export "cross") PARAMS
        (canon lift (core func $guest "cross") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))"#;

/// An instance of the guest with so many flattened parameters, and a state that `push` fills.
fn instance<T: 'static>(
    params: &str,
    flattened: usize,
    state: T,
    push: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
) -> (Store<T>, Instance) {
    let gets: String = (0..flattened).map(|index| format!("(local.get {index})")).collect();
    let text =
        GUEST.replace("PARAMS", params).replace("CORE", &"i32 ".repeat(flattened)).replace("GETS", &gets);
    let mut config = Config::new();
    config.wasm_component_model(true).concurrency_support(false).epoch_interruption(true);
    let engine = Engine::new(&config).expect("this machine runs WASM");
    let component =
        Component::new(&engine, wat::parse_str(text).expect("the text is right")).expect("it is valid");
    let mut linker = Linker::new(&engine);
    push(&mut linker).expect("the name is free");
    let mut store = Store::new(&engine, state);
    store.set_epoch_deadline(u64::MAX / 2);
    // Not to be used up: what is measured is the crossing, not the limit.
    store.set_hostcall_fuel(usize::MAX);
    let instance = linker.instantiate(&mut store, &component).expect("it imports nothing else");
    (store, instance)
}

/// The guest that knows bytes. `P` is what is given: borrowed, or owned when it was only just made.
pub(crate) struct Bytes<P> {
    store: Store<Vec<u8>>,
    cross: TypedFunc<(P,), ()>,
}

impl<P: Lower + Send + Sync + 'static> Bytes<P> {
    pub(crate) fn new() -> Self {
        let (mut store, instance) = instance("(param \"batch\" (list u8))", 2, Vec::new(), |linker| {
            linker.root().func_wrap(
                "push",
                |mut store: StoreContextMut<'_, Vec<u8>>, (bytes,): (WasmList<u8>,)| {
                    let mut kept = std::mem::take(store.data_mut());
                    kept.clear();
                    kept.extend_from_slice(bytes.as_le_slice(&store));
                    *store.data_mut() = kept;
                    Ok(())
                },
            )
        });
        let cross = instance.get_typed_func(&mut store, "cross").expect("it is exported");
        Self { store, cross }
    }

    /// The bytes as they came back.
    pub(crate) fn cross(&mut self, bytes: P) -> &[u8] {
        self.cross.call(&mut self.store, (bytes,)).expect("it does not trap");
        self.store.data()
    }
}

type Columns = (Vec<u64>, Vec<i64>, Vec<Vec<f64>>);
type Lent = (&'static [u64], &'static [i64], &'static [&'static [f64]]);

/// The guest that knows columns.
pub(crate) struct Lists {
    store: Store<Columns>,
    cross: TypedFunc<Lent, ()>,
    lent: Lent,
    pool: BatchPool,
}

impl Lists {
    pub(crate) fn new(batch: &'static Batch) -> Self {
        let params = "(param \"seq\" (list u64)) (param \"timestamp\" (list s64)) (param \"columns\" (list (list f64)))";
        let (mut store, instance) = instance(params, 6, Columns::default(), |linker| {
            linker.root().func_wrap("push", |mut store: StoreContextMut<'_, Columns>, columns: Columns| {
                *store.data_mut() = columns;
                Ok(())
            })
        });
        let cross = instance.get_typed_func(&mut store, "cross").expect("it is exported");
        let columns: Vec<&[f64]> = batch.columns().map(|column| column.values::<f64>()).collect();
        let lent = (batch.seq(), batch.timestamps(), &*columns.leak());
        Self { store, cross, lent, pool: BatchPool::new(batch.schema().clone()) }
    }

    /// The batch made anew from what came back.
    pub(crate) fn cross(&mut self) -> Batch {
        self.cross.call(&mut self.store, self.lent).expect("it does not trap");
        let (seq, timestamps, columns) = self.store.data();
        let mut builder = self.pool.builder(seq.len());
        builder.push_rows(seq.len());
        builder.seq_mut().copy_from_slice(seq);
        builder.timestamps_mut().copy_from_slice(timestamps);
        for (index, column) in columns.iter().enumerate() {
            builder.column_mut::<f64>(index).copy_from_slice(column);
        }
        builder.finish()
    }
}
