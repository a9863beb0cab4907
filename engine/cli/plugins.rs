//! `plugins`: what there is, and what each takes.

use tapedeck_engine::pipeline::{did_you_mean, option_rows};
use tapedeck_sdk::{Descriptor, Kind, PluginKind};

use crate::arguments::{PluginsArguments, PluginsCommand};
use crate::builtins;
use crate::output::{print, print_error_text, print_json, table};

/// `tapedeck plugins`.
pub(crate) fn plugins(arguments: &PluginsArguments) -> u8 {
    match &arguments.command {
        None => list(arguments.json),
        Some(PluginsCommand::List { json }) => list(*json || arguments.json),
        Some(PluginsCommand::Inspect { name, json }) => inspect(name, *json || arguments.json),
    }
}

fn list(json: bool) -> u8 {
    let registry = builtins::registry();
    let descriptors: Vec<&Descriptor> =
        registry.factories().iter().map(|factory| factory.descriptor()).collect();
    if json {
        print_json(&descriptors);
        return 0;
    }
    let rows = descriptors.iter().map(|descriptor| {
        vec![
            descriptor.name.clone(),
            descriptor.kind.to_string(),
            streams(descriptor),
            descriptor.summary.clone(),
        ]
    });
    print(&table(&["plugin", "kind", "streams", "what it does"], &[0, 1, 2, 3], rows.collect()));
    0
}

fn streams(descriptor: &Descriptor) -> String {
    let kinds = if descriptor.kind == PluginKind::Source { &descriptor.gives } else { &descriptor.takes };
    if kinds.len() == Kind::ALL.len() { "any".to_owned() } else { names(kinds) }
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn inspect(name: &str, json: bool) -> u8 {
    let registry = builtins::registry();
    let Some(factory) = registry.factories().iter().find(|factory| factory.descriptor().name == name) else {
        let known: Vec<&str> =
            registry.factories().iter().map(|factory| factory.descriptor().name.as_str()).collect();
        let hint = did_you_mean(name, known, "plugins");
        print_error_text(&format!("error: there is no plugin called \"{name}\"\n  hint: {hint}\n"));
        return 2;
    };
    let descriptor = factory.descriptor();
    if json {
        print_json(descriptor);
    } else {
        print(&text(descriptor));
    }
    0
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
