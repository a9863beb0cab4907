//! A plugin's options as the command line has them: `--option key=value`.

use serde_json::Value;
use tapedeck_sdk::Error;

/// Options as `key=value`, each value in the notation of TOML.
///
/// # Errors
/// One that can't be read.
pub(crate) fn read_settings(settings: &[String]) -> Result<Value, Error> {
    let mut options = serde_json::Map::new();
    for setting in settings {
        let wrong = |why: &str| {
            Error::option([""; 0], format!("\"{setting}\" is no option: {why}"))
                .with_hint("write `--option gain=2.0`; the value as in a pipeline, text in quotes")
        };
        let (key, value) = setting.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let table: toml::Table =
            format!("value = {value}").parse().map_err(|error: toml::de::Error| wrong(error.message()))?;
        let value = serde_json::to_value(&table["value"]).map_err(|error| wrong(&error.to_string()))?;
        options.insert(key.to_owned(), value);
    }
    Ok(Value::Object(options))
}
