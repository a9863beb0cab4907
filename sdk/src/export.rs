//! The one line that opens both doors.

/// Makes a library of this crate a plugin: a dynamic library, or a component when it is built for `wasm32-wasip2`.
///
/// Write it once in the library, with the kind and the type that implements [`OpenSource`](crate::OpenSource),
/// [`OpenTransform`](crate::OpenTransform) or [`OpenSink`](crate::OpenSink). The library's `crate-type` is `cdylib`.
///
/// ```ignore
/// tapedeck_sdk::export!(transform Scale);
/// ```
#[macro_export]
macro_rules! export {
    (source $plugin:ty) => {
        $crate::__export!(source, $plugin, SourceGuest, export_source);
    };
    (transform $plugin:ty) => {
        $crate::__export!(transform, $plugin, TransformGuest, export_transform);
    };
    (sink $plugin:ty) => {
        $crate::__export!(sink, $plugin, SinkGuest, export_sink);
    };
}

/// What [`export!`](crate::export) stands for.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($kind:ident, $plugin:ty, $guest:ident, $macro:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "generated code")]
        const _: () = {
            type Component = $crate::wasm::$guest<$plugin>;
    $crate::wasm::$kind::$macro!(Component with_types_in $crate::wasm::$kind);
        };

        /// What the engine looks for when it loads the library.
        #[cfg(not(target_family = "wasm"))]
        #[allow(unsafe_code, non_upper_case_globals, reason = "the name is part of the C ABI")]
        #[unsafe(no_mangle)]
        pub static tapedeck_plugin: $crate::native::abi::Plugin =
            $crate::native::abi::Plugin::$kind::<$plugin>();
    };
}
