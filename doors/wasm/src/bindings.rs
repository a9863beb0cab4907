//! What `wasmtime` makes of `sdk/wit/plugin.wit`: one module for each world, with one set of types.

#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

pub(crate) mod source {
    wasmtime::component::bindgen!({ path: "../../sdk/wit", world: "source-plugin" });
}

pub(crate) mod transform {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "transform-plugin",
        with: { "tapedeck:plugin/types": super::source::tapedeck::plugin::types },
    });
}

pub(crate) mod sink {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "sink-plugin",
        with: { "tapedeck:plugin/types": super::source::tapedeck::plugin::types },
    });
}

pub(crate) use source::tapedeck::plugin::types;
