//! A library: loaded, looked at, and asked what it is. Then a factory of its plugin.

use std::path::Path;

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};
use serde_json::Value;
use tapedeck_sdk::door::read_descriptor;
use tapedeck_sdk::native::{Text, abi, hear};
use tapedeck_sdk::{Descriptor, Error, Factory, Opener};

use super::instance::{Instance, limited};
use super::sink::DynamicSink;
use super::source::DynamicSource;
use super::table::{self, Calls, Common};
use super::transform::DynamicTransform;

/// The longest descriptor, in bytes.
const DESCRIPTOR_BYTES_MAX: u64 = 1 << 20;

/// A library that holds a plugin. It stays loaded for good.
pub(crate) struct Library {
    common: Common,
    calls: Calls,
    descriptor: Descriptor,
}

impl Library {
    /// Loads the library at a canonical path. Its initialisers run; if it turns out to be no plugin, it stays loaded all the same.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let at_path =
            |error: Error| Error {
                message: format!("can't load the plugin: {}: {}", error.message, path.display()),
                hint: Some(error.hint.unwrap_or_else(|| {
                    "The plugin has to be mended: `tapedeck_plugin.h` says how.".to_owned()
                })),
                ..error
            };
        // SAFETY: this runs code of the library. That the user has named it as a plugin is all that can be known of it.
        let library = unsafe { Loaded::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| at_path(not_loaded(&error, path)))?;
        // SAFETY: the symbol is data; the type is a pointer to it, which is not followed here.
        let symbol = unsafe { library.get::<*const abi::Plugin>(abi::SYMBOL) }
            .map(|symbol| *symbol)
            .map_err(|_no_symbol| at_path(no_symbol()));
        // Never unloaded: see `LOADED`.
        std::mem::forget(library);
        // SAFETY: the address of a symbol of a library that stays loaded; the contract says what a table is.
        let (common, calls) = unsafe { table::read(symbol?) }.map_err(at_path)?;
        // SAFETY: the library keeps the contract.
        let text = unsafe { described(common.describe) }.map_err(at_path)?;
        let descriptor = read_descriptor(&text, calls.kind()).map_err(at_path)?;
        Ok(Self { common, calls, descriptor })
    }

    /// Looks at a table that is linked into this program.
    ///
    /// # Safety
    /// The table keeps the contract.
    pub(crate) unsafe fn linked(table: &'static abi::Plugin) -> Result<Self, Error> {
        // SAFETY: the caller promises it.
        let (common, calls) = unsafe { table::read(table) }?;
        // SAFETY: as above.
        let text = unsafe { described(common.describe) }?;
        let descriptor = read_descriptor(&text, calls.kind())?;
        Ok(Self { common, calls, descriptor })
    }

    /// The plugin behind the door.
    pub(crate) fn factory(&self) -> Result<Factory, Error> {
        let (common, check) = (self.common, self.common.check);
        let opener = match self.calls {
            Calls::Source(calls) => Opener::Source(Box::new(move |options, context| {
                let instance = Instance::open(&common, options, context, &[])?;
                Ok(Box::new(DynamicSource::new(instance, calls)?))
            })),
            Calls::Transform(calls) => Opener::Transform(Box::new(move |options, context| {
                let instance = Instance::open(&common, options, context, &[])?;
                Ok(Box::new(DynamicTransform::new(instance, calls)))
            })),
            Calls::Sink(calls) => Opener::Sink(Box::new(move |options, inputs, context| {
                let instance = Instance::open(&common, options, context, inputs)?;
                Ok(Box::new(DynamicSink::new(instance, calls, inputs.len())))
            })),
        };
        Factory::from_parts(self.descriptor.clone(), Box::new(move |options| checked(check, options)), opener)
    }
}

/// # Safety
/// `describe` keeps the contract.
unsafe fn described(describe: abi::Describe) -> Result<String, Error> {
    let mut text = abi::Bytes::EMPTY;
    // SAFETY: the caller promises it, and the place lives during the call.
    unsafe { describe(&raw mut text) };
    // SAFETY: it was handed over.
    unsafe { limited(&text, DESCRIPTOR_BYTES_MAX, "its descriptor") }
}

fn checked(check: abi::Check, options: &Value) -> Result<(), Error> {
    let options = Text::new(options.to_string());
    let mut error = abi::Error::EMPTY;
    // SAFETY: the library keeps the contract; what is passed lives during the call.
    let status = unsafe { check(&options.lend(), &raw mut error) };
    // SAFETY: `error` is what the call has put there.
    unsafe { hear(status, &mut error) }
}

fn not_loaded(error: &libloading::Error, path: &Path) -> Error {
    let text = match error {
        libloading::Error::DlOpen { source } => format!("{source:?}"),
        other => other.to_string(),
    };
    // The loader begins with the path, which stands at the end of our message, and may wrap its text in quotes.
    let text = text.trim_matches('"').replace(&format!("{}: ", path.display()), "");
    let hint = if text.contains("cannot open shared object file") {
        "Install the library that it needs: `ldd` shows which ones are missing."
    } else if text.contains("undefined symbol") {
        "It was linked without a library that it needs, or without `-fPIC -shared`."
    } else {
        "Was it built for this system?"
    };
    Error::environment(text).with_hint(hint)
}

fn no_symbol() -> Error {
    Error::plugin("it has no symbol \"tapedeck_plugin\"").with_hint(
        "Is this a Tapedeck plugin? In C the table is defined with TAPEDECK_EXPORT, in Rust with `tapedeck_sdk::export!`.",
    )
}
