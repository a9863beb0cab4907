//! Every file in `pipelines/` and every command of the README runs.

use std::process::Command;

use crate::util::{Dir, Done, example, root};

/// A folder with the checkout's pipelines, in which the demo's game is found where a release build puts it.
fn checkout() -> Dir {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path("target/demo/examples")).unwrap();
    std::os::unix::fs::symlink(example("arcade"), dir.path("target/demo/examples/arcade")).unwrap();
    std::os::unix::fs::symlink(root().join("pipelines"), dir.path("pipelines")).unwrap();
    // Somebody who may log in to the SSH gateway.
    dir.write(
        "authorized_keys",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfFbI8NYbL8bYp2gQbL3s6gkT4q0x2gH1m9n0vZ3QkM alice\n",
    );
    // What the SSH proxy shows to the host behind it, and how it knows that one.
    let key = dir.path("upstream_key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("openssh-client is needed: `make ssh` installs it").success());
    let public = std::fs::read_to_string(dir.path("upstream_key.pub")).unwrap();
    dir.write("known_hosts", &format!("host.example {public}"));
    dir
}

/// Complete, or with late ticks alone, which a busy machine makes.
fn recorded(done: &Done) -> bool {
    done.code == 0 || (done.code == 3 && done.stdout.contains(" late, 0 dropped, 0 failed"))
}

/// Plays a recording into a pipeline that has no source of its own.
fn played_into(dir: &Dir, pipeline: &str) -> Done {
    if !dir.path("recordings/made-up").exists() {
        let record = ["run", "pipelines/made-up.toml", "--duration", "300ms", "--session", "made-up"];
        let done = dir.tapedeck(&record).run();
        assert!(recorded(&done), "{done:?}");
    }
    dir.tapedeck(&["play", "recordings/made-up", "--speed", "max", "--into", pipeline]).run()
}

#[test]
fn every_pipeline_runs_as_it_stands() {
    let dir = checkout();
    // What the replay plays.
    let arguments =
        ["run", "pipelines/game.toml", "--duration", "300ms", "--session", "game-20261121-120000"];
    assert!(recorded(&dir.tapedeck(&arguments).run()));
    let (mut count, mut played) = (0, 0);
    for entry in std::fs::read_dir(root().join("pipelines")).unwrap() {
        let name = format!("pipelines/{}", entry.unwrap().file_name().into_string().unwrap());
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        let done = if text.contains("[sources.") {
            let checked = dir.tapedeck(&["check", &name, "--deny-warnings"]).run();
            assert_eq!(checked.code, 0, "{checked:?}");
            dir.tapedeck(&["run", &name, "--duration", "700ms"]).run()
        } else {
            played += 1;
            played_into(&dir, &name)
        };
        assert!(recorded(&done), "{name}: {done:?}");
        count += 1;
    }
    assert!(count >= 4 && played >= 1, "{count} pipelines, {played} of them played into");
}

#[test]
fn every_command_of_the_readme_runs() {
    let dir = checkout();
    let done = dir
        .tapedeck(&["run", "pipelines/game.toml", "--duration", "500ms", "--session", "game-20261121-120000"])
        .run();
    assert!(recorded(&done), "{done:?}");
    std::fs::create_dir(dir.path("lidar_capture")).unwrap();
    for number in 0..3 {
        // (1.25, ["scan"]) and so on, as Python pickles it.
        let time = f64::from(number) * 0.1 + 1.25;
        let bytes = [&b"\x80\x04G"[..], &time.to_be_bytes(), b"]\x94\x8c\x04scan\x94a\x86\x94."].concat();
        std::fs::write(dir.path(&format!("lidar_capture/{number:03}.pickle")), bytes).unwrap();
    }
    let state = "{\"current_code\":\"\",\"cursor_position\":[0,0],\"challenge_id\":\"c\",\"challenge_started_at\":0.0,\"tests_passing\":0,\
                 \"tests_total\":1,\"hints_used\":0,\"player_id\":\"p\",\"mastery_levels\":{},\"session_duration\":0.0,\
                 \"challenges_completed\":[],\"concepts_mastered\":[]}";
    let lesson = format!(
        "{{\"version\":\"1.0.0\",\"player_id\":\"p\",\"challenge_id\":\"c\",\"created_at\":1.0,\"events\":[{{\"timestamp\":0.5,\"event\":\
         {{\"type\":\"test_run\",\"player_id\":\"p\",\"data\":{{}}}},\"game_state\":{state}}}],\"checkpoints\":{{\"before_implementation\":0}},\
         \"duration\":1.0,\"success\":true,\"final_code\":\"\",\"final_time\":1.0}}"
    );
    dir.write("lesson.json", &lesson);
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme.lines().filter(|line| line.starts_with("tapedeck ")).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let command = command.split('#').next().unwrap_or_default();
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        let done = dir.tapedeck(&arguments).run();
        // A budget that a busy machine misses is told by exit code 1, and is not what this test is about.
        let budget_missed = arguments[0] == "bench" && done.code == 1;
        assert!(recorded(&done) || budget_missed, "{command}: {done:?}");
        assert!(!done.stdout.is_empty() || !done.stderr.is_empty(), "{command}: {done:?}");
    }
}
