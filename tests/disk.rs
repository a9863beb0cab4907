//! A disk that fills up while a session records: the sinks on it fail with a clear error, the others go on, and what was written
//! reads back.

use std::process::Command;

use serde_json::Value;

use crate::util::Dir;

/// Runs a script with a small file system of its own at `disk/`. It needs no root where the system lets users have namespaces.
pub(crate) fn on_small_disk(dir: &Dir, size: &str, script: &str) -> String {
    std::fs::create_dir(dir.path("disk")).unwrap();
    let script = format!("set -e\nmount -t tmpfs -o size={size} tapedeck disk\n{script}");
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .current_dir(dir.path("."))
        .env("TAPEDECK", env!("CARGO_BIN_EXE_tapedeck"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "mounting a small file system needs root or user namespaces: {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    format!("{text}\n--- errors\n{errors}")
}

/// The JSON that stands between two marks of a script's output.
fn part(output: &str, name: &str) -> Value {
    let begin = format!("--- {name}\n");
    let text = output.split(&begin).nth(1).unwrap_or_else(|| panic!("no {name} in {output}"));
    let lines = text.lines().take_while(|line| !line.starts_with("---"));
    let line = lines.filter(|line| !line.is_empty()).last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {output}"))
}

const SINKS: [&str; 6] = ["hdf5", "parquet", "arrow", "csv", "jsonl", "mcap"];

fn pipeline(sink: &str) -> String {
    // Compressed, these rows would fit.
    let plain = if sink == "mcap" { "compression = \"none\"\n" } else { "" };
    format!(
        "[session]\ndirectory = \"disk\"\nflush_interval = \"100ms\"\ndisk_free_min = \"0B\"\n\
         [sources.made]\nplugin = \"synthetic\"\nrate = 500\nbatch_rows = 16\ncolumns = 32\ntype = \"f64\"\n\
         [sinks.full]\nplugin = \"{sink}\"\ninputs = [\"made\"]\n{plain}[sinks.other]\nplugin = \"null\"\ninputs = [\"made\"]\n"
    )
}

#[test]
fn a_full_disk_fails_the_sink_not_the_session_and_what_was_written_reads_back() {
    for sink in SINKS {
        let dir = Dir::new();
        dir.write("pipeline.toml", &pipeline(sink));
        let output = on_small_disk(
            &dir,
            "3m",
            "code=0; $TAPEDECK run pipeline.toml --duration 3s --session s --json > report || code=$?\n\
             echo '--- report'; tail -n 1 report; echo '--- code'; echo $code\n\
             mount -o remount,size=64m disk\n\
             $TAPEDECK recover disk/s > recovered 2>&1 || echo $? >> recovered\n\
             echo '--- inspection'; $TAPEDECK inspect disk/s --json; echo '--- recovered'; cat recovered",
        );
        assert_eq!(part(&output, "code"), 3, "{sink}: {output}");
        let report = part(&output, "report")["report"].clone();
        let of = |id: &str| {
            report["sinks"].as_array().unwrap().iter().find(|sink| sink["id"] == id).unwrap().clone()
        };
        let message = of("full")["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("No space left") && message.contains("disk/s/"), "{sink}: {message}");
        assert_eq!(of("other")["error"], Value::Null);
        let given = report["streams"][0]["frames"].as_u64().unwrap();
        assert_eq!(of("other")["frames"], given, "{sink}: the other sink has every frame");
        let (written, failed) =
            (of("full")["frames"].as_u64().unwrap(), of("full")["loss"]["failed"].as_u64().unwrap());
        assert_eq!(written + failed, given, "{sink}: each frame is accounted for");
        assert!(failed > 0 && written > 0, "{sink}: {report}");
        let file = part(&output, "inspection")["files"][0].clone();
        assert_eq!(file["error"], Value::Null, "{sink}: {output}");
        let readable = file["streams"][0]["frames"].as_u64().unwrap();
        assert!(
            readable >= written,
            "{sink}: {written} were called written, {readable} can be read: {output}"
        );
        let manifest = &part(&output, "inspection")["manifest"];
        for sink in manifest["sinks"].as_array().unwrap().iter().filter(|sink| sink["id"] == "full") {
            let (input, number) = (&sink["inputs"][0], |value: &Value| value.as_u64().unwrap());
            assert_eq!(number(&input["written"]), readable, "{manifest}");
            let failed = number(&input["loss"]["failed"]);
            assert_eq!(readable + failed, given, "a recovery counts anew: {manifest}");
            assert_eq!(number(&manifest["loss"]["failed"]), failed, "{manifest}");
        }
        let missing = file["streams"][0]["missing"].as_u64().unwrap();
        assert!(
            missing <= report["loss"]["late"].as_u64().unwrap(),
            "{sink}: a gap that nobody counted: {file}"
        );
    }
}

#[test]
fn a_session_ends_cleanly_before_the_disk_is_full() {
    let dir = Dir::new();
    let text = pipeline("arrow").replace("disk_free_min = \"0B\"", "disk_free_min = \"14MiB\"");
    dir.write("pipeline.toml", &text.replace("rate = 500", "rate = 2000"));
    let output = on_small_disk(
        &dir,
        "18m",
        "code=0; $TAPEDECK run pipeline.toml --duration 20s --session s --json > report || code=$?\n\
         echo '--- report'; tail -n 1 report; echo '--- code'; echo $code\n\
         echo '--- inspection'; $TAPEDECK inspect disk/s --json",
    );
    assert_eq!(part(&output, "code"), 3, "{output}");
    let report = part(&output, "report")["report"].clone();
    assert_eq!(
        (report["ended_by"].as_str(), report["status"].as_str()),
        (Some("disk_free"), Some("complete"))
    );
    let file = part(&output, "inspection")["files"][0].clone();
    assert_eq!(file["streams"][0]["frames"], report["streams"][0]["frames"], "{file}");
}
