//! What a plugin says of itself, and how it looks at its options, before anything is opened.

use serde_json::{Value, json};

use super::{Run, told};
use crate::{Descriptor, Factory, PluginKind};

pub(super) fn check(run: &mut Run, factory: &Factory, options: &Value, kind: PluginKind) {
    let descriptor = factory.descriptor();
    run.check("the descriptor is complete", || complete(descriptor, kind));
    run.check("the descriptor is data: it survives being written and read", || {
        let text = serde_json::to_string(descriptor).map_err(|error| error.to_string())?;
        let back: Descriptor = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if &back == descriptor { Ok(()) } else { Err("it reads back differently".to_owned()) }
    });
    run.check("the options are described by a JSON Schema, each with a sentence", || {
        described(&descriptor.options)
    });
    run.check("no option has a name that means something else in a stage", || {
        reachable(&descriptor.options, kind)
    });
    run.check("good options pass the check", || {
        factory.check(options).map_err(|error| told("they were refused", &error))
    });
    run.check("an unknown option is refused", || {
        let mut unknown = options.clone();
        let table = unknown.as_object_mut().ok_or("the options to check with are no table")?;
        table.insert("no_such_option".to_owned(), json!(1));
        if factory.check(&unknown).is_err() { Ok(()) } else { Err("\"no_such_option\" was taken".to_owned()) }
    });
    run.check("options that are no table are refused", || {
        let wrong = [json!(null), json!(1), json!("text"), json!([1, "a"])];
        let taken = wrong.iter().find(|options| factory.check(options).is_ok());
        taken.map_or(Ok(()), |options| Err(format!("{options} was taken")))
    });
}

fn complete(descriptor: &Descriptor, kind: PluginKind) -> Result<(), String> {
    let name = &descriptor.name;
    let letters =
        |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
    if name.is_empty() || !letters(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(format!("\"{name}\" is no name: small letters, digits, \"_\" and \"-\", a letter first"));
    }
    if descriptor.kind != kind {
        return Err(format!("it is a {}, not a {kind}", descriptor.kind));
    }
    if descriptor.version.is_empty() || descriptor.summary.is_empty() {
        return Err("it has no version or no summary".to_owned());
    }
    if kind == PluginKind::Source && descriptor.gives.is_empty() {
        return Err("a source that gives no kind of stream".to_owned());
    }
    if kind != PluginKind::Source && descriptor.takes.is_empty() {
        return Err(format!("a {kind} that takes no kind of stream"));
    }
    match &descriptor.extension {
        Some(extension) if extension.is_empty() || extension.starts_with('.') => {
            Err(format!("the file name extension \"{extension}\" is written without a dot"))
        }
        _ => Ok(()),
    }
}

/// Keys of a stage that the engine reads itself.
fn reachable(options: &Value, kind: PluginKind) -> Result<(), String> {
    let keys: &[&str] = match kind {
        PluginKind::Source => &["plugin", "rate"],
        PluginKind::Transform | PluginKind::Sink => &["plugin", "inputs", "queue"],
    };
    let hidden =
        keys.iter().find(|&&key| options.get("properties").is_some_and(|own| own.get(key).is_some()));
    hidden.map_or(Ok(()), |key| Err(format!("nobody can set the option \"{key}\": it is the engine's")))
}

fn described(options: &Value) -> Result<(), String> {
    if options.get("type") != Some(&json!("object")) {
        return Err("the options are no object".to_owned());
    }
    let Some(properties) = options.get("properties") else { return Ok(()) };
    let properties = properties.as_object().ok_or("\"properties\" is no table")?;
    for (name, property) in properties {
        if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("the option \"{name}\" has no description"));
        }
    }
    Ok(())
}
