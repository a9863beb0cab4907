//! The one line that opens both doors.

/// Makes a library of this crate a plugin: a dynamic library, or a component when it is built for `wasm32-wasip2`.
///
/// Write it once in the library, with the kind and the type that implements [`OpenSource`](crate::OpenSource),
/// [`OpenTransform`](crate::OpenTransform) or [`OpenSink`](crate::OpenSink). The library's `crate-type` is `cdylib`.
///
/// ```ignore
/// tapedeck_sdk::export!(transform Scale);
/// ```
///
/// A plugin that has a factory already is exported by it: `export!(sink from tapedeck_csv::factory);`.
#[macro_export]
macro_rules! export {
    ($kind:ident from $factory:path) => {
        /// The exported plugin.
        struct Exported;

        impl $crate::door::Make for Exported {
            fn factory() -> $crate::Factory {
                $factory()
            }
        }

        $crate::__export!($kind, Exported);
    };
    (source $plugin:ty) => {
        $crate::__export!(source, $crate::door::SourceOf<$plugin>);
    };
    (transform $plugin:ty) => {
        $crate::__export!(transform, $crate::door::TransformOf<$plugin>);
    };
    (sink $plugin:ty) => {
        $crate::__export!(sink, $crate::door::SinkOf<$plugin>);
    };
}

/// What [`export!`](crate::export) stands for.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (source, $make:ty) => {
        $crate::__export!(source, $make, SourceGuest, export_source, made_source);
    };
    (transform, $make:ty) => {
        $crate::__export!(transform, $make, TransformGuest, export_transform, made_transform);
    };
    (sink, $make:ty) => {
        $crate::__export!(sink, $make, SinkGuest, export_sink, made_sink);
    };
    ($kind:ident, $make:ty, $guest:ident, $macro:ident, $table:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "generated code")]
        const _: () = {
            type Component = $crate::wasm::$guest<$make>;
    $crate::wasm::$kind::$macro!(Component with_types_in $crate::wasm::$kind);
        };

        /// What the engine looks for when it loads the library.
        #[cfg(not(target_family = "wasm"))]
        #[allow(unsafe_code, non_upper_case_globals, reason = "the name is part of the C ABI")]
        #[unsafe(no_mangle)]
        pub static tapedeck_plugin: $crate::native::abi::Plugin =
            $crate::native::abi::Plugin::$table::<$make>();
    };
}
