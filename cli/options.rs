//! A plugin's options as the command line has them: `--option key=value`.

use serde_json::Value;
use tapedeck_sdk::Error;

/// Options as `key=value`, each value in the notation of TOML. `schema` is that of the plugin's options, where it is known: what is text there
/// is text, whatever it looks like.
///
/// # Errors
/// One that can't be read.
pub(crate) fn read_settings(settings: &[String], schema: Option<&Value>) -> Result<Value, Error> {
    let mut options = serde_json::Map::new();
    for setting in settings {
        let wrong = |why: &str| {
            Error::option([""; 0], format!("\"{setting}\" is no option: {why}"))
                .with_hint("write `--option gain=2.0` or `--option timestamps=ns`; the value as in a pipeline, text with spaces in quotes")
        };
        let (key, value) = setting.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let value = match format!("value = {value}").parse::<toml::Table>() {
            // JSON has no dates: what takes one takes it as text.
            Ok(table) if table["value"].is_datetime() => Value::from(value),
            // A title may be `2024` or `true`.
            Ok(table) if !table["value"].is_str() && is_text(schema, key) => Value::from(value),
            Ok(table) => serde_json::to_value(&table["value"]).map_err(|error| wrong(&error.to_string()))?,
            Err(_) if is_word(value) => Value::from(value),
            Err(error) => return Err(wrong(error.message())),
        };
        options.insert(key.to_owned(), value);
    }
    Ok(Value::Object(options))
}

/// Whether the schema takes nothing but text for an option.
fn is_text(schema: Option<&Value>, key: &str) -> bool {
    let kind = schema.and_then(|schema| schema.get("properties")?.get(key)?.get("type"));
    kind.is_some_and(|kind| *kind == "string" || *kind == serde_json::json!(["string", "null"]))
}

/// Whether a text that is no TOML is meant as it stands: nothing in it has a meaning there.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-./:+%@~".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_text_for_the_plugin_is_text_whatever_it_looks_like() {
        let schema = json!({ "properties": {
            "title": { "type": ["string", "null"] }, "path": { "type": "string" }, "version": { "type": "integer" },
        } });
        let settings = ["title=2024", "path=true", "version=2", "other=1.5", "word=a-b"].map(str::to_owned);
        let found = read_settings(&settings, Some(&schema)).unwrap();
        assert_eq!(
            found,
            json!({ "title": "2024", "path": "true", "version": 2, "other": 1.5, "word": "a-b" })
        );
        let without = read_settings(&settings[..2], None).unwrap();
        assert_eq!(without, json!({ "title": 2024, "path": true }));
    }
}
