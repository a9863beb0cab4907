//! What the program prints. Snapshots are in `tests/snapshots`; `INSTA_UPDATE=always cargo test` writes them anew.

use crate::util::{Dir, root};

/// What a call prints, with its exit code.
fn printed(arguments: &[&str]) -> String {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("pipelines")).unwrap();
    for entry in std::fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path("pipelines").join(path.file_name().unwrap())).unwrap();
    }
    let done = dir.tapedeck(arguments).run();
    format!("exit code {}\n--- stdout\n{}--- stderr\n{}", done.code, done.stdout, done.stderr)
}

#[test]
fn help_is_as_it_was() {
    insta::assert_snapshot!("help", printed(&["--help"]));
    for command in [
        "run", "rec", "play", "check", "graph", "plugins", "inspect", "recover", "convert", "bench", "at",
        "sessions", "new",
    ] {
        insta::assert_snapshot!(format!("help-{command}"), printed(&[command, "--help"]));
    }
}

#[test]
fn bad_usage_is_told() {
    insta::assert_snapshot!("usage-no-pipeline", printed(&["run"]));
    insta::assert_snapshot!("usage-duration", printed(&["run", "x.toml", "--duration", "5"]));
    insta::assert_snapshot!("usage-session", printed(&["run", "x.toml", "--session", "a/b"]));
    insta::assert_snapshot!("usage-absent-pipeline", printed(&["check", "nowhere.toml"]));
}

#[test]
fn plugins_are_listed_and_shown() {
    insta::assert_snapshot!("plugins", printed(&["plugins"]));
    for plugin in ["memory", "hdf5", "parquet", "delta"] {
        insta::assert_snapshot!(format!("plugin-{plugin}"), printed(&["plugins", "inspect", plugin]));
    }
    insta::assert_snapshot!("plugin-unknown", printed(&["plugins", "inspect", "hdf"]));
}

#[test]
fn pipelines_are_drawn() {
    for format in ["text", "mermaid", "dot"] {
        let drawn = printed(&["graph", "pipelines/game.toml", "--format", format]);
        insta::assert_snapshot!(format!("graph-{format}"), drawn);
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        assert!(script.starts_with("exit code 0") && script.contains("tapedeck"), "{shell}: {script}");
    }
}

#[test]
fn a_run_prints_a_report_for_people_lines_for_logs_and_json_for_programs() {
    let dir = Dir::new();
    let pipeline = "[session]\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = 100\n[sinks.x]\nplugin = \"csv\"\ninputs = [\"made\"]\n";
    dir.write("p.toml", pipeline);
    let run = ["run", "p.toml", "--duration", "1200ms", "--session", "a", "--progress", "300ms"];
    let done = dir.tapedeck(&run).run();
    let complete = done.code == 0;
    for word in ["made", "1.2", "x.csv", "recordings/a", "the duration was reached"] {
        assert!(done.stdout.contains(word), "{word}: {done:?}");
    }
    assert!(
        done.stderr.contains("frames") && !done.stderr.contains('\r'),
        "plain lines where there is no terminal: {done:?}"
    );

    let done = dir.tapedeck(&["run", "p.toml", "--duration", "200ms", "--session", "b", "--quiet"]).run();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));

    let done = dir.tapedeck(&["run", "p.toml", "--duration", "200ms", "--session", "c", "--json"]).run();
    for line in done.stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }

    let inspected = dir.tapedeck(&["inspect", "recordings/a/x.csv"]).run();
    // A machine that paused us made ticks late: the first call said so with its exit code.
    let expected = if complete { "120 frames" } else { " missing in " };
    assert!(inspected.stdout.contains(expected), "{inspected:?}");
    assert_eq!(inspected.stdout.contains(" 0 missing in 0 gaps"), complete, "{inspected:?}");
}

#[test]
fn an_interrupt_finishes_the_files() {
    let pipeline = "[session]\ndisk_free_min = \"0B\"\n[sources.made]\nplugin = \"synthetic\"\nrate = 100\n[sinks.x]\nplugin = \"parquet\"\ninputs = [\"made\"]\n";
    let dir = Dir::new();
    dir.write("p.toml", pipeline);
    let mut child = dir.tapedeck(&["run", "p.toml", "--session", "s", "--quiet"]).spawn();
    crate::util::wait_until("the session runs", || dir.path("recordings/s/session.json").exists());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
    let manifest = std::fs::read_to_string(dir.path("recordings/s/session.json")).unwrap();
    assert!(
        manifest.contains("\"status\": \"complete\"") && manifest.contains("\"ended_by\": \"stop\""),
        "{manifest}"
    );
    assert_eq!(dir.names("recordings/s"), ["session.json", "x.parquet"], "journal and ledger are gone");
}
