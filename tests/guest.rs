//! Builds the SDK's examples as components. Used by the tests of the WASM door too: whoever asks first builds them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The component that is built from an example of the SDK.
pub(crate) fn guest(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let root = above.filter(|folder| folder.join("sdk/wit").is_dir()).last().unwrap();
        // A folder of their own: cargo holds a lock on the one that this test is built in.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "tapedeck-sdk", "--examples", "--target", "wasm32-wasip2"])
            .args(["--profile", "plugin", "--target-dir"])
            .arg(&target)
            .current_dir(root)
            .env_remove("RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the guests don't build: is the target there? `make wasm` adds it");
        target.join("wasm32-wasip2/plugin/examples")
    });
    folder.join(format!("{name}.wasm"))
}
