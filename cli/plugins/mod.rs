//! `plugins`: what there is, what each takes, whether it keeps the contract, and how to begin a new one.

mod check;
mod new;

use std::path::{Path, PathBuf};
use tapedeck_engine::pipeline::option_rows;
use tapedeck_sdk::names::did_you_mean;

use tapedeck_sdk::{Descriptor, Error, Kind, PluginKind};

use crate::arguments::{PluginsArguments, PluginsCommand};
use crate::doors::{Door, Doors, probe_here};
use crate::output::{message, print, print_error, print_error_text, print_json, table, word};
use crate::{builtins, exit};

/// `tapedeck plugins`.
pub(crate) fn plugins(arguments: &PluginsArguments, plugin_path: &[PathBuf]) -> u8 {
    match &arguments.command {
        None => list(plugin_path, arguments.json),
        Some(PluginsCommand::List { json }) => list(plugin_path, *json || arguments.json),
        Some(PluginsCommand::Inspect { name, json }) => inspect(plugin_path, name, *json || arguments.json),
        Some(PluginsCommand::Check(check)) => check::check(check),
        Some(PluginsCommand::New(new)) => new::new(new),
        Some(PluginsCommand::Probe { path }) => {
            print_json(&probe_here(path));
            0
        }
    }
}

fn list(plugin_path: &[PathBuf], json: bool) -> u8 {
    let (registry, doors) = (builtins::registry(), Doors::new(plugin_path));
    let built_in = registry.factories().iter().map(|factory| (factory.descriptor(), "built in".to_owned()));
    let found = doors.found().iter().filter_map(|found| {
        let door = Door::of(&found.path)?.name();
        Some((found.outcome.as_ref().ok()?, format!("{door}: {}", found.path.display())))
    });
    let all: Vec<(&Descriptor, String)> = built_in.chain(found).collect();
    if json {
        let with_door = |(descriptor, door): &(&Descriptor, String)| {
            let mut value = serde_json::to_value(descriptor).unwrap_or_default();
            value["from"] = door.clone().into();
            value
        };
        print_json(&all.iter().map(with_door).collect::<Vec<_>>());
        return 0;
    }
    let files = all.iter().any(|(_, door)| door != "built in");
    let rows = all.iter().map(|(descriptor, door)| {
        let mut row = vec![
            descriptor.name.clone(),
            descriptor.kind.to_string(),
            streams(descriptor),
            descriptor.summary.clone(),
        ];
        row.extend(files.then(|| door.clone()));
        row
    });
    let header = ["plugin", "kind", "streams", "what it does", "where"];
    let header = &header[..if files { 5 } else { 4 }];
    print(&table(header, &[0, 1, 2, 3, 4], rows.collect()));
    for found in doors.found() {
        if let Err(error) = &found.outcome {
            print_error_text(&format!(
                "warning: {} is not used: {}\n",
                word(found.path.display()),
                message(&error.message)
            ));
        }
    }
    0
}

fn streams(descriptor: &Descriptor) -> String {
    let kinds = if descriptor.kind == PluginKind::Source { &descriptor.gives } else { &descriptor.takes };
    if kinds.len() == Kind::ALL.len() { "any".to_owned() } else { names(kinds) }
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn inspect(plugin_path: &[PathBuf], name: &str, json: bool) -> u8 {
    let (registry, doors) = (builtins::registry(), Doors::new(plugin_path));
    let descriptor = match find(&registry, &doors, name) {
        Ok(Some(descriptor)) => descriptor,
        Ok(None) => {
            let built_in = registry.factories().iter().map(|factory| factory.descriptor().name.clone());
            let found =
                doors.found().iter().filter_map(|found| Some(found.outcome.as_ref().ok()?.name.clone()));
            let known: Vec<String> = built_in.chain(found).collect();
            let hint = did_you_mean(name, known.iter().map(String::as_str), "plugins");
            let message = format!("there is no plugin called \"{name}\"");
            print_error(&Error::environment(message).with_hint(hint), json);
            return exit::REFUSED;
        }
        Err(error) => {
            print_error(&error, json);
            return 2;
        }
    };
    if json {
        print_json(&descriptor);
    } else {
        print(&text(&descriptor));
    }
    0
}

/// The descriptor of a built-in plugin, of a file, or of a plugin on the plugin path.
fn find(
    registry: &tapedeck_engine::Registry,
    doors: &Doors,
    name: &str,
) -> Result<Option<Descriptor>, Error> {
    let of_name = |descriptor: &&Descriptor| descriptor.name == name;
    let built_in = registry.factories().iter().map(|factory| factory.descriptor()).find(of_name);
    if let Some(descriptor) = built_in {
        return Ok(Some(descriptor.clone()));
    }
    if name.contains('/') || Door::of(Path::new(name)).is_some() {
        return doors.describe(Path::new(name)).map(Some);
    }
    let mut found = doors.found().iter().filter_map(|found| found.outcome.as_ref().ok());
    Ok(found.find(of_name).cloned())
}

fn text(descriptor: &Descriptor) -> String {
    let mut text = format!(
        "{} {} ({})\n  {}\n",
        descriptor.name, descriptor.version, descriptor.kind, descriptor.summary
    );
    if !descriptor.takes.is_empty() {
        text.push_str(&format!("  takes: {}\n", names(&descriptor.takes)));
    }
    if !descriptor.gives.is_empty() {
        text.push_str(&format!("  gives: {}\n", names(&descriptor.gives)));
    }
    if descriptor.needs_rate {
        text.push_str("  is polled: needs a `rate`\n");
    }
    if let Some(extension) = &descriptor.extension {
        text.push_str(&format!("  writes: <id>.{extension}\n"));
    }
    if descriptor.needs_journal {
        text.push_str(
            "  keeps a journal while recording, because its file can be read only once it is finished\n",
        );
    }
    let rows = option_rows(&descriptor.options);
    text.push_str(if rows.is_empty() { "\nno options\n" } else { "\noptions:\n" });
    for row in rows {
        let unit = row.unit.map_or(String::new(), |unit| format!(" in {unit}"));
        let default = match (row.required, row.default) {
            (true, _) => ", required".to_owned(),
            (false, Some(default)) => format!(", default {default}"),
            (false, None) => String::new(),
        };
        let choices =
            if row.choices.is_empty() { String::new() } else { format!(": {}", row.choices.join(" | ")) };
        text.push_str(&format!("  {} ({}{choices}{unit}{default})\n", row.name, row.type_name));
        for line in row.doc.lines() {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}
