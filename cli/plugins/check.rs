//! `plugins check`: the conformance suite on a plugin file, in a process of its own, and what the file asks for.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapedeck_sdk::testing::{conformance, samples};
use tapedeck_sdk::{Error, Factory, Kind, PluginKind};

use crate::arguments::CheckPluginArguments;
use crate::doors::{Door, Doors, Outcome, run_apart};
use crate::options::read_settings;
use crate::output::{print, print_error, print_error_text, print_json};

/// How long the whole suite may take.
const SUITE_MAX: Duration = Duration::from_secs(120);

/// What was found.
#[derive(Serialize, Deserialize)]
struct Findings {
    plugin: String,
    kind: PluginKind,
    version: String,
    /// What was checked, each with what is wrong.
    checks: Vec<(String, Option<String>)>,
}

/// `tapedeck plugins check`.
pub(crate) fn check(arguments: &CheckPluginArguments) -> u8 {
    let path = &arguments.path;
    if arguments.here {
        let outcome = match here(path, &arguments.options) {
            Ok(findings) => Outcome::Answer(findings),
            Err(error) => Outcome::Refused(error),
        };
        print_json(&outcome);
        return 0;
    }
    let settings: Vec<&str> =
        arguments.options.iter().flat_map(|option| ["--option", option.as_str()]).collect();
    let found = Doors::new(&[]).describe(path).and_then(|_| {
        let call: Vec<&str> = ["plugins", "check", "--here"].into_iter().chain(settings).collect();
        run_apart::<Findings>(path, &call, SUITE_MAX)
    });
    match found {
        Ok(findings) => show(path, &findings, arguments.json),
        Err(error) => {
            print_error(&error, arguments.json);
            1
        }
    }
}

fn show(path: &Path, findings: &Findings, json: bool) -> u8 {
    let failed = findings.checks.iter().filter(|(_, wrong)| wrong.is_some()).count();
    let asks = asks_for(path);
    if json {
        print_json(&serde_json::json!({ "findings": findings, "asks_for": asks }));
        return u8::from(failed > 0);
    }
    let mut text = format!("{} {} ({})\n", findings.plugin, findings.version, findings.kind);
    for (check, wrong) in &findings.checks {
        match wrong {
            None => text.push_str(&format!("  ok      {check}\n")),
            Some(wrong) => text.push_str(&format!("  FAILED  {check}: {wrong}\n")),
        }
    }
    text.push_str(&format!("asks for: {asks}\n"));
    print(&text);
    if failed == 0 {
        print(&format!("{} checks passed\n", findings.checks.len()));
        return 0;
    }
    let checks = if failed == 1 { "check" } else { "checks" };
    print_error_text(&format!(
        "error: {failed} {checks} failed\n  hint: the contract stands in sdk/README.md\n"
    ));
    1
}

fn asks_for(path: &Path) -> String {
    match Door::of(path) {
        Some(Door::Wasm) => "nothing that the `sandbox` table of the pipeline does not grant".to_owned(),
        _ => "all rights of this program: a dynamic library runs without a sandbox".to_owned(),
    }
}

/// The other process.
fn here(path: &Path, settings: &[String]) -> Result<Findings, Error> {
    let factory = Doors::new(&[]).load(path)?;
    let options = read_settings(settings, Some(&factory.descriptor().options))?;
    let (checks, violations) = match suite(&factory, &options) {
        Ok(report) => (report.checks, Vec::new()),
        Err(violations) => (Vec::new(), violations),
    };
    let mut findings: Vec<(String, Option<String>)> =
        checks.into_iter().map(|check| (check.to_owned(), None)).collect();
    findings.extend(violations.into_iter().map(|wrong| (wrong.check.to_owned(), Some(wrong.message))));
    let descriptor = factory.descriptor();
    Ok(Findings {
        plugin: descriptor.name.clone(),
        kind: descriptor.kind,
        version: descriptor.version.clone(),
        checks: findings,
    })
}

fn suite(factory: &Factory, options: &Value) -> conformance::Outcome {
    let takes = &factory.descriptor().takes;
    let kind = takes.first().copied().unwrap_or(Kind::Attributes);
    let inputs = || vec![samples::batches(&samples::schema(kind, "game"), &[3, 1, 60])];
    match factory.descriptor().kind {
        PluginKind::Source => conformance::source(factory, options),
        PluginKind::Transform => conformance::transform(factory, options, &inputs()),
        PluginKind::Sink => conformance::sink(factory, options, &conformance::SinkCase::new(inputs())),
    }
}
