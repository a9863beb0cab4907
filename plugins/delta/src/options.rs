//! The options of both transforms.

use std::time::Duration;

use tapedeck_sdk::Error;
use tapedeck_sdk::options::DurationText;

/// Options of the `delta` transform.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaOptions {
    /// How often every value is there, by the frames' own time.
    #[serde(default = "default_interval")]
    pub keyframe_interval: DurationText,
    /// After how many rows every value is there, at the latest. Default: only the interval counts.
    #[schemars(extend("x-unit" = "rows"))]
    pub keyframe_rows: Option<u64>,
}

/// Options of the `undelta` transform: it has none.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndeltaOptions {}

fn default_interval() -> DurationText {
    DurationText(Duration::from_secs(1))
}

pub(crate) fn check(options: &DeltaOptions) -> Result<(), Error> {
    if options.keyframe_interval.0.is_zero() {
        let error = Error::option(["keyframe_interval"], "a keyframe_interval of 0 would leave nothing out");
        return Err(error.with_hint("Take \"1s\", or leave the transform away."));
    }
    if options.keyframe_rows == Some(0) {
        return Err(Error::option(["keyframe_rows"], "keyframes can't be 0 rows apart")
            .with_hint("Take a number from 1 on."));
    }
    Ok(())
}
