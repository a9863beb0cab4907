//! What the user is told when the target is not as the pipeline expects: what was looked for, what is there instead, and
//! what to do. Pure: gets everything as data.

use std::fmt::Write as _;

use tapedeck_sdk::Error;
use tapedeck_sdk::names::closest;

use crate::instruction::Unclear;
use crate::pattern::Pattern;
use crate::process::Candidate;

/// How many names or addresses a message lists.
const LISTED_MAX: usize = 8;

fn list<T: AsRef<str>>(items: &[T]) -> String {
    let mut text = items.iter().take(LISTED_MAX).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if items.len() > LISTED_MAX {
        let _ = write!(text, " and {} more", items.len() - LISTED_MAX);
    }
    text
}

pub(crate) fn absent_process(name: &str, running: &[Candidate]) -> Error {
    let names = || running.iter().map(|candidate| candidate.name.as_str());
    let hint = match closest(name, names()).or_else(|| names().find(|running| !running.is_empty() && running.contains(name))) {
        Some(near) => format!("did you mean \"{near}\", which is running?"),
        None => {
            "start it first, give attach_timeout = \"30s\" to wait for it, or let the pipeline start it: spawn = [\"program\"]".to_owned()
        }
    };
    Error::environment(format!("no process is called \"{name}\"")).with_hint(hint).at_option(["process"])
}

pub(crate) fn several_processes(name: &str, found: &[Candidate]) -> Error {
    let pids: Vec<String> =
        found.iter().map(|candidate| format!("{} ({})", candidate.pid, candidate.command)).collect();
    Error::environment(format!("{} processes are called \"{name}\": {}", found.len(), list(&pids)))
        .with_hint(format!("choose one: pid = {}", found.first().map_or(0, |candidate| candidate.pid)))
        .at_option(["process"])
}

pub(crate) fn absent_pid(pid: i32) -> Error {
    Error::environment(format!("there is no process {pid}"))
        .with_hint("it may have exited; a process can also be given by name: process = \"game\"")
        .at_option(["pid"])
}

pub(crate) fn cannot_spawn(program: &str, error: &std::io::Error) -> Error {
    let hint = if error.kind() == std::io::ErrorKind::NotFound {
        "is it installed or built? A path with a slash is taken from the current folder, a bare name from PATH"
    } else {
        "the file must be a program that this user may run"
    };
    Error::environment(format!("can't start the program: {error}: {program}"))
        .with_hint(hint)
        .at_option(["spawn"])
}

/// The process is gone before anything was read. `status` is how it ended, if we know.
pub(crate) fn exited_early(name: &str, pid: i32, status: Option<String>) -> Error {
    let status = status.map_or(String::new(), |status| format!(" ({status})"));
    Error::environment(format!("the process \"{name}\" ({pid}) exited before the recording began{status}"))
        .with_hint("run it by hand to see why; spawn_output = \"inherit\" shows what it prints")
}

/// A kernel thread, or a process that is about to exit.
pub(crate) fn no_memory(name: &str, pid: i32) -> Error {
    Error::environment(format!("the process \"{name}\" ({pid}) has no memory"))
        .with_hint("a thread of the kernel has none, and a process that is exiting has none any more")
}

/// The process became another program while its variables were searched.
pub(crate) fn replaced_early(name: &str, pid: i32) -> Error {
    Error::environment(format!("the process \"{name}\" ({pid}) became another program while it was searched"))
        .with_hint("give attach_timeout = \"30s\" to wait until it has started")
}

pub(crate) fn absent_module(wanted: &str, process: &str, names: &[&str], option: &[&str]) -> Error {
    let there = list(names);
    let hint = match closest(wanted, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"? It has mapped {there}"),
        None if names.is_empty() => "it has mapped no file at all".to_owned(),
        None => format!("it has mapped {there}"),
    };
    Error::environment(format!("the process \"{process}\" has no module \"{wanted}\""))
        .with_hint(hint)
        .at_option(option.iter().copied())
}

pub(crate) fn absent_pattern(attribute: &str, pattern: &Pattern, module: &str, bytes: usize) -> Error {
    Error::environment(format!(
        "attribute \"{attribute}\": the pattern \"{pattern}\" is not in \"{module}\" ({bytes} bytes searched)"
    ))
    .with_hint("another version of the program may have other bytes; check `module`, or use more ??")
    .at_option(["attributes", attribute, "pattern"])
}

pub(crate) fn ambiguous_pattern(
    attribute: &str,
    pattern: &Pattern,
    matches: &[usize],
    at_limit: bool,
) -> Error {
    let addresses: Vec<String> = matches.iter().map(|address| format!("{address:#x}")).collect();
    let least = if at_limit { "at least " } else { "" };
    Error::environment(format!(
        "attribute \"{attribute}\": the pattern \"{pattern}\" is found {least}{} times, at {}",
        matches.len(),
        list(&addresses)
    ))
    .with_hint("choose one with match = 1, or make the pattern longer")
    .at_option(["attributes", attribute, "pattern"])
}

/// The module's code is not x86: nothing tells how long an instruction is.
pub(crate) fn foreign_code(attribute: &str, module: &str) -> Error {
    Error::environment(format!("attribute \"{attribute}\": the code of \"{module}\" is not x86"))
        .with_hint("say where the distance is and where it counts from, in bytes of the match: displacement = 3, end = 7")
        .at_option(["attributes", attribute, "end"])
}

/// The match has no address where the pattern has `??`, or several.
pub(crate) fn unclear_pattern(attribute: &str, pattern: &Pattern, at: usize, unclear: &Unclear) -> Error {
    let what = match unclear {
        Unclear::NoAddress => "no instruction there has an address at the ??".to_owned(),
        Unclear::Several(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(|address| format!("{address:#x}")).collect();
            format!("the instruction may begin before the match and name {}", list(&addresses))
        }
    };
    Error::environment(format!(
        "attribute \"{attribute}\": the match of the pattern \"{pattern}\" at {at:#x} is unclear: {what}"
    ))
    .with_hint(
        "begin the pattern with the instruction's first byte, or say where the distance is and where the instruction \
         ends, in bytes of the match: displacement = 3, end = 7",
    )
    .at_option(["attributes", attribute, "pattern"])
}

pub(crate) fn absent_match(attribute: &str, pattern: &Pattern, which: usize, count: usize) -> Error {
    Error::environment(format!(
        "attribute \"{attribute}\": match {which} of the pattern \"{pattern}\" is not there, only {count} are"
    ))
    .with_hint(format!("choose a match from 1 to {count}"))
    .at_option(["attributes", attribute, "match"])
}

/// We may not read the process. `scope` is what `/proc/sys/kernel/yama/ptrace_scope` says, if the file is there.
pub(crate) fn permission(name: &str, pid: i32, scope: Option<&str>) -> Error {
    let now = match scope.map(str::trim) {
        Some("0") => "is 0: the same user may read, so the target runs as another user, or is protected",
        Some("1") => "is 1: only a program that we started ourselves may be read",
        Some("2") => "is 2: only an administrator may read other processes",
        Some("3") => "is 3: nobody may read other processes until the next boot",
        _ => "is not there: the same user may read, so the target runs as another user, or is protected",
    };
    Error::environment(format!(
        "no permission to read the memory of process \"{name}\" ({pid}); /proc/sys/kernel/yama/ptrace_scope {now}"
    ))
    .with_hint(
        "run tapedeck as the target's user and let the pipeline start it (spawn = [\"program\"]), or allow it with \
         `sudo sysctl kernel.yama.ptrace_scope=0`, or give the right to the tapedeck file with `sudo setcap cap_sys_ptrace=ep FILE`",
    )
}

pub(crate) fn unreadable(name: &str, pid: i32, error: &std::io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files: ulimit -n",
        Some(libc::ENOMEM) => "free some memory",
        _ => "the `memory` source needs Linux 5.3 or newer, and /proc",
    };
    Error::environment(format!("can't read the process \"{name}\" ({pid}): {error}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(names: &[&str]) -> Vec<Candidate> {
        let candidate = |(name, pid): (&&str, i32)| Candidate {
            pid,
            name: (*name).to_owned(),
            command: format!("/opt/{name}"),
        };
        names.iter().zip(100..).map(candidate).collect()
    }

    #[test]
    fn an_absent_process_suggests_a_running_one_with_a_similar_name() {
        let error = absent_process("arcde", &candidates(&["bash", "arcade"]));
        assert_eq!(error.message, "no process is called \"arcde\"");
        assert_eq!(error.hint.unwrap(), "did you mean \"arcade\", which is running?");
        assert_eq!(error.option, ["process"]);
        assert!(absent_process("quake", &candidates(&["bash"])).hint.unwrap().contains("attach_timeout"));
    }

    #[test]
    fn several_processes_are_listed() {
        let error = several_processes("game", &candidates(&["game", "game"]));
        assert_eq!(error.message, "2 processes are called \"game\": 100 (/opt/game), 101 (/opt/game)");
        assert_eq!(error.hint.unwrap(), "choose one: pid = 100");
    }

    #[test]
    fn a_missing_permission_names_ptrace_scope_and_what_to_do() {
        for (scope, expected) in
            [(Some("1\n"), "ptrace_scope is 1: only a program"), (None, "ptrace_scope is not there")]
        {
            let error = permission("game", 7, scope);
            assert!(
                error.message.contains("no permission to read the memory of process \"game\" (7)"),
                "{error}"
            );
            assert!(error.message.contains(expected), "{error}");
            let hint = error.hint.unwrap();
            assert!(
                hint.contains("sysctl kernel.yama.ptrace_scope=0")
                    && hint.contains("cap_sys_ptrace")
                    && hint.contains("spawn")
            );
        }
    }

    #[test]
    fn what_the_system_answers_is_told_with_its_name() {
        let told = |number| unreadable("game", 7, &std::io::Error::from_raw_os_error(number));
        let error = told(libc::EMFILE);
        assert_eq!(error.message, "can't read the process \"game\" (7): Too many open files (os error 24)");
        assert_eq!(error.hint.unwrap(), "raise the limit of open files: ulimit -n");
        for number in 1..134 {
            assert!(!told(number).message.contains('?'), "{number}");
        }
    }

    #[test]
    fn an_ambiguous_pattern_tells_count_and_first_addresses() {
        let pattern = "48 8B ??".parse().unwrap();
        let matches: Vec<usize> = (0..10).map(|index| 0x1000 + index).collect();
        let error = ambiguous_pattern("hp", &pattern, &matches, false);
        assert!(error.message.contains("found 10 times, at 0x1000, 0x1001"), "{error}");
        assert!(error.message.ends_with("0x1007 and 2 more"), "{error}");
        assert_eq!(error.option, ["attributes", "hp", "pattern"]);
    }

    #[test]
    fn an_absent_module_lists_those_that_are_there() {
        let error = absent_module("libgam.so", "game", &["game", "libgame.so"], &["module"]);
        assert_eq!(error.hint.unwrap(), "did you mean \"libgame.so\"? It has mapped game, libgame.so");
    }
}
