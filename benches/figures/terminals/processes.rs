//! What processes cost, as the kernel counts it in `/proc`. Knows nothing of why they run.

use std::collections::HashMap;
use std::path::Path;

use crate::engine::to_f64;

/// Fields of `/proc/<process>/stat` behind the name, as text.
fn stat(process: &str) -> Option<(String, Vec<u64>)> {
    let text = std::fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?;
    let (begin, rest) = text.rsplit_once(") ")?;
    let name = begin.split_once('(')?.1.to_owned();
    // The first one is a letter, and one or two are negative; neither is looked at.
    Some((name, rest.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect()))
}

/// Ticks of `/proc` in a second. Linux has promised this number to programs, whatever its own clock does.
const TICKS_HZ: u64 = 100;

fn seconds(ticks: u64) -> f64 {
    to_f64(ticks) / to_f64(TICKS_HZ)
}

/// CPU time of all children that have ended and were waited for, and of theirs.
pub(super) fn cpu_of_ended_children() -> f64 {
    let (_, fields) = stat("self").expect("the kernel tells about ourselves");
    seconds(fields[13] + fields[14])
}

/// CPU time of a process that runs, of all its threads, without its children.
pub(super) fn cpu_of(pid: u32) -> f64 {
    stat(&pid.to_string()).map_or(0.0, |(_, fields)| seconds(fields[11] + fields[12]))
}

/// CPU time of everything that runs below this process, by name.
pub(super) fn cpu_of_descendants() -> HashMap<String, f64> {
    let own = u64::from(std::process::id());
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").expect("there is /proc").flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else { continue };
        if let Some((name, fields)) = stat(&pid.to_string()) {
            all.insert(pid, (name, fields[1], fields[11] + fields[12]));
        }
    }
    let mut sums = HashMap::new();
    for (pid, (name, _, ticks)) in &all {
        let mut above = *pid;
        while above != own
            && let Some((_, parent, _)) = all.get(&above)
        {
            above = *parent;
        }
        if above == own {
            let name = if *pid == own { "self" } else { name };
            *sums.entry(name.to_owned()).or_insert(0.0) += seconds(*ticks);
        }
    }
    sums
}

/// Resident memory of a process, in bytes.
pub(super) fn resident(pid: u32) -> u64 {
    crate::budget::resident(pid).unwrap_or(0)
}

/// How long the queue of those who want to run has been in the last minute, as `uptime` says it.
pub(super) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
