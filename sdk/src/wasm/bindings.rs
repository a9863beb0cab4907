//! What `wit-bindgen` makes of `sdk/wit/plugin.wit`: one module for each world. The three share one set of imports.

#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated code")]

pub mod source {
    //! The world of a source.
    wit_bindgen::generate!({
        path: "wit",
        world: "source-plugin",
        pub_export_macro: true,
        export_macro_name: "export_source",
    });
}

pub mod transform {
    //! The world of a transform.
    wit_bindgen::generate!({
        path: "wit",
        world: "transform-plugin",
        pub_export_macro: true,
        export_macro_name: "export_transform",
        with: {
            "tapedeck:plugin/types@0.2.0": crate::wasm::source::tapedeck::plugin::types,
            "tapedeck:plugin/host@0.2.0": crate::wasm::source::tapedeck::plugin::host,
        },
    });
}

pub mod sink {
    //! The world of a sink.
    wit_bindgen::generate!({
        path: "wit",
        world: "sink-plugin",
        pub_export_macro: true,
        export_macro_name: "export_sink",
        with: {
            "tapedeck:plugin/types@0.2.0": crate::wasm::source::tapedeck::plugin::types,
            "tapedeck:plugin/host@0.2.0": crate::wasm::source::tapedeck::plugin::host,
        },
    });
}
