//! Compiled code on disk, keyed by the component's content and everything that the compiler's output depends on.
//!
//! A file is the SHA-256 of the code, then the code. One that does not match (torn, changed, cut off) is compiled again: code that is
//! run must be what this program wrote. The folder is the user's own and nobody else's.

#![expect(unsafe_code, reason = "compiled code is loaded as it was written")]

use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const HASH_BYTES: usize = 32;

/// The folder, and what every key begins with.
pub(crate) struct Cache {
    folder: Option<PathBuf>,
    environment: u64,
}

impl Cache {
    pub(crate) fn new(folder: Option<PathBuf>, engine: &Engine) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Self { folder, environment: hasher.finish() }
    }

    /// The component of these bytes: from the cache, or compiled and put there.
    pub(crate) fn component(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
        let Some(file) = self.file(wasm) else { return Component::from_binary(engine, wasm) };
        if let Some(component) = read(engine, &file) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, wasm)?;
        // A cache that can't be written costs time, nothing else.
        drop(self.write(&file, &component.serialize()?));
        Ok(component)
    }

    fn file(&self, wasm: &[u8]) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        let content: String = Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(folder.join(format!("{content}-{:016x}.cwasm", self.environment)))
    }

    fn write(&self, file: &PathBuf, code: &[u8]) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let fresh = file.with_extension(format!("{}.new", std::process::id()));
        let mut out =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        out.write_all(&Sha256::digest(code)).and_then(|()| out.write_all(code))?;
        fs::rename(&fresh, file)
    }
}

/// The code in a file of ours, if that is what it is.
fn read(engine: &Engine, file: &PathBuf) -> Option<Component> {
    let metadata = fs::symlink_metadata(file).ok()?;
    let ours = metadata.is_file()
        && metadata.uid() == fs::metadata("/proc/self").ok()?.uid()
        && metadata.mode() & 0o022 == 0;
    let bytes = ours.then(|| fs::read(file).ok()).flatten()?;
    let (hash, code) = bytes.split_at_checked(HASH_BYTES)?;
    if Sha256::digest(code).as_slice() != hash {
        return None;
    }
    // SAFETY: the code is what `write` got from `serialize`: nobody else can write the file, and its hash is right.
    unsafe { Component::deserialize(engine, code) }.ok()
}
