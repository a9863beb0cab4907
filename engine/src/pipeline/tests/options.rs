//! Options as rows of a table.

use serde_json::json;

use super::*;
use crate::pipeline::option_rows;

#[test]
fn each_option_is_a_row_with_type_default_unit_and_choices() {
    let registry = registry();
    let memory = registry.find(PluginKind::Source, "memory").unwrap();
    let rows = option_rows(&memory.descriptor().options);
    let text: Vec<String> = rows
        .iter()
        .map(|row| {
            let required = if row.required { "required" } else { "optional" };
            let default = row.default.as_ref().map_or(String::new(), |default| format!(" = {default}"));
            let unit = row.unit.as_ref().map_or(String::new(), |unit| format!(" in {unit}"));
            let choices = if row.choices.is_empty() { String::new() } else { format!(" {:?}", row.choices) };
            format!("{}: {}{choices}{default}{unit} ({required}) {}", row.name, row.type_name, row.doc)
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    process: string (required) The name of the process. Its first thread counts.
    attributes: table (optional) What is read at each tick.
    attributes.NAME.pattern: string (optional) The bytes to search for.
    attributes.NAME.offsets: array of integers = [] (optional) The pointer chain.
    attributes.NAME.type: string ["int", "float", "array"] (required) The type.
    attributes.NAME.length: integer = 1 in bytes (optional) The length in bytes.
    attributes.NAME.address: integer or string (optional) The address: a number or a name.
    attributes.NAME.scale: number (optional) A factor.
    timeout: duration (optional) How long to wait for the process.
    scan_max: size (optional) The most memory that is scanned.
    threads: integer in threads (optional) How many threads scan.
    start: table (optional) Where to begin.
    start.at: string ["module", "address"] (required) 
    start.name: string (optional) 
    start.offset: integer (optional) 
    start.value: integer (optional) 
    reattach: boolean = false (optional) Whether to wait for it again.
    "#);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = json!({
        "properties": { "next": { "$ref": "#" }, "all": { "type": "array", "items": { "$ref": "#" } } },
        "anyOf": [{ "$ref": "#" }, { "$ref": "#" }],
    });
    let names: Vec<String> = option_rows(&schema).into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["next", "all"]);
}
