//! `plugins new`: a project that builds and keeps the contract as it is. The Rust ones are the SDK's examples under another name.

use std::fs;
use std::path::{Path, PathBuf};

use tapedeck_sdk::Error;

use crate::arguments::{Language, NewDoor, NewKind, NewPluginArguments};
use crate::output::{print, print_error};

const SOURCE: &str = include_str!("../../sdk/examples/ramp/plugin.rs");
const TRANSFORM: &str = include_str!("../../sdk/examples/scale/plugin.rs");
const SINK: &str = include_str!("../../sdk/examples/lines/plugin.rs");
const C_TRANSFORM: &str = include_str!("template.c");
const C_HEADER: &str = include_str!("../../sdk/include/tapedeck_plugin.h");

/// `tapedeck plugins new`.
pub(crate) fn new(arguments: &NewPluginArguments) -> u8 {
    match make(arguments) {
        Ok(text) => {
            print(&text);
            0
        }
        Err(error) => {
            print_error(&error, false);
            2
        }
    }
}

fn make(arguments: &NewPluginArguments) -> Result<String, Error> {
    let folder = Path::new(&arguments.name);
    if folder.exists() {
        return Err(Error::environment(format!("\"{}\" is already there", arguments.name))
            .with_hint("give the plugin another name, or go to another folder"));
    }
    match (arguments.language, arguments.kind, arguments.door) {
        (Language::Rust, ..) => rust(arguments, folder),
        (Language::C, NewKind::Transform, NewDoor::Dynamic) => c(arguments, folder),
        (Language::C, ..) => Err(Error::environment("the template in C is a dynamic transform")
            .with_hint("--kind transform --door dynamic --language c; sdk/README.md shows the others")),
    }
}

fn rust(arguments: &NewPluginArguments, folder: &Path) -> Result<String, Error> {
    let (template, old, kind) = match arguments.kind {
        NewKind::Source => (SOURCE, "ramp", "source"),
        NewKind::Transform => (TRANSFORM, "scale", "transform"),
        NewKind::Sink => (SINK, "lines", "sink"),
    };
    let (old_type, new_type) = (type_name(old), type_name(&arguments.name));
    let plugin = template
        .replace(&format!("\"{old}\""), &format!("\"{}\"", arguments.name))
        .replace(&format!("`{old}`"), &format!("`{}`", arguments.name))
        .replace(&format!(" The example of a {kind} in `sdk/README.md`."), "")
        .replace(&old_type, &new_type);
    let library = format!("{plugin}\ntapedeck_sdk::export!({kind} {new_type});\n");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nschemars = \"1\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\ntapedeck-sdk = {sdk}\n\n\
         [profile.release]\nlto = true\nstrip = true\n\n# A project of its own, even below another one.\n[workspace]\n",
        name = arguments.name,
        sdk = sdk_dependency(),
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("src/lib.rs"), &library)?;
    write(&folder.join(".gitignore"), "/target\n")?;
    let (target, file) = match arguments.door {
        NewDoor::Wasm => {
            let file = format!("target/wasm32-wasip2/release/{}.wasm", arguments.name.replace('-', "_"));
            (" --target wasm32-wasip2", file)
        }
        NewDoor::Dynamic => ("", format!("target/release/lib{}.so", arguments.name.replace('-', "_"))),
    };
    Ok(next_steps(&arguments.name, &format!("cargo build --release{target}"), &file, arguments.kind))
}

fn c(arguments: &NewPluginArguments, folder: &Path) -> Result<String, Error> {
    let name = &arguments.name;
    write(&folder.join(format!("{name}.c")), &C_TRANSFORM.replace("NAME", name))?;
    write(&folder.join("tapedeck_plugin.h"), C_HEADER)?;
    let file = format!("lib{name}.so");
    let makefile =
        format!("{file}: {name}.c tapedeck_plugin.h\n\t$(CC) -O2 -Wall -Wextra -fPIC -shared -o $@ $<\n");
    write(&folder.join("Makefile"), &makefile)?;
    Ok(next_steps(name, "make", &file, arguments.kind))
}

fn next_steps(name: &str, build: &str, file: &str, kind: NewKind) -> String {
    let (table, rest) = match kind {
        NewKind::Source => ("sources", "rate = 60\n"),
        NewKind::Transform => ("transforms", "inputs = [\"game\"]\n"),
        NewKind::Sink => ("sinks", "inputs = [\"game\"]\n"),
    };
    let rest = rest.replace('\n', "\n  ");
    format!(
        "made {name}/; next:\n\n  cd {name}\n  {build}\n  tapedeck plugins check ./{file}\n\nand in a pipeline:\n\n  \
         [{table}.mine]\n  plugin = \"./{name}/{file}\"\n  {}\n",
        rest.trim_end()
    )
}

/// Where the project gets the SDK from: the checkout that this program was built from, if it is still there.
fn sdk_dependency() -> String {
    let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/sdk"));
    if checkout.join("Cargo.toml").exists() {
        return format!("{{ path = {:?} }}", checkout.display().to_string());
    }
    format!("\"{}\"", env!("CARGO_PKG_VERSION"))
}

/// `my-filter` as the name of a type: `MyFilter`.
fn type_name(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split(['-', '_']).map(capital).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::io("make a project", path, &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}
