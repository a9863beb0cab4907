//! Processes that outlive their session: found in `/proc` by group, session, environment and parent.
//! A process that leaves all four (`env -i setsid`, reparented before the end) is not found.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

/// The most processes named of a session.
const NAMED_MAX: usize = 32;

/// How long a process may take to end after its session before it counts as left running.
const GRACE_TIME: Duration = Duration::from_millis(100);

/// A process that outlived its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftProcess {
    pid: i32,
    /// The kernel's name: the first 15 bytes of the program's.
    name: String,
    /// Whether it has left the session's process session (`setsid`): no recording sees its output.
    detached: bool,
}

impl LeftProcess {
    /// The processes as a fact: the first [`NAMED_MAX`], and how many more there are.
    pub(crate) fn facts(left: &[Self]) -> Value {
        let named = left
            .iter()
            .take(NAMED_MAX)
            .map(|process| json!({ "pid": process.pid, "name": process.name, "detached": process.detached }));
        let more = left.len().saturating_sub(NAMED_MAX);
        let more = (more > 0).then(|| json!({ "more": more }));
        named.chain(more).collect()
    }
}

/// What the processes of a session have in common.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    group: i32,
    /// The process session of the session's leader.
    session: i32,
    /// Whether that session has no other processes.
    own_session: bool,
    /// When the leader started, in clock ticks since boot.
    started: u64,
    /// Entries of the environment that no other session has.
    environment: Vec<Vec<u8>>,
}

/// How often, and after which time each, processes without an environment are asked again, all of them together.
const EXEC_LOOKS_MAX: usize = 20;
const EXEC_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// The parent of the kernel's own threads, which have no environment.
const KERNEL_THREADS: i32 = 2;

/// A line of `/proc/PID/stat`.
struct Stat {
    pid: i32,
    name: String,
    parent: i32,
    group: i32,
    session: i32,
    started: u64,
    ended: bool,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, in parentheses, may have any byte in it.
    fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        let (begin, end) =
            (line.iter().position(|&byte| byte == b'(')?, line.iter().rposition(|&byte| byte == b')')?);
        let name = String::from_utf8_lossy(line.get(begin + 1..end)?).into_owned();
        let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        let ended = matches!(*fields.first()?, "Z" | "X" | "x");
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { pid, name, parent: number(1)?, group: number(2)?, session: number(3)?, started, ended })
    }
}

impl Family {
    /// The family of this leader, just started with this environment. `None` without `/proc`.
    pub(crate) fn of(leader: Pid, terminal: bool, environment: &[(OsString, OsString)]) -> Option<Self> {
        let pid = leader.as_raw_nonzero().get();
        let unique = ["TAPEDECK_CONNECTION", "SSH_CONNECTION"];
        let entries = environment.iter().filter(|(name, _)| unique.iter().any(|unique| name == unique));
        let environment = entries.map(|(name, value)| entry(name, value)).collect();
        let started = Stat::read(pid)?.started;
        // 0 if the leader of our session is outside of our PID namespace (`getsid(2)` and rustix do not take that).
        let session =
            if terminal { pid } else { Stat::read(i32::try_from(std::process::id()).ok()?)?.session };
        Some(Self { group: pid, session, own_session: terminal, started, environment })
    }

    /// The processes that still run. They may just be about to end: looks twice.
    pub(crate) async fn left_running(self) -> Option<Vec<LeftProcess>> {
        let (first, family) = self.find().await?;
        if first.is_empty() {
            return Some(first);
        }
        tokio::time::sleep(GRACE_TIME).await;
        family.find().await.map(|(left, _)| left)
    }

    async fn find(self) -> Option<(Vec<LeftProcess>, Self)> {
        tokio::task::spawn_blocking(move || Some((self.members()?, self))).await.ok()?
    }

    /// The family's processes. `None` if the system does not tell.
    fn members(&self) -> Option<Vec<LeftProcess>> {
        let numbers = std::fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let unsorted = numbers
            .filter_map(Stat::read)
            .filter(|stat| !stat.ended && stat.started >= self.started)
            .collect();
        let pause = || std::thread::park_timeout(EXEC_LOOK_INTERVAL);
        let (mut members, mut others) = sort(unsorted, |stat| self.has(stat), pause);
        let mut known: HashSet<i32> = members.iter().map(|stat| stat.pid).collect();
        loop {
            let children: Vec<Stat> = others.extract_if(.., |stat| known.contains(&stat.parent)).collect();
            if children.is_empty() {
                break;
            }
            known.extend(children.iter().map(|stat| stat.pid));
            members.extend(children);
        }
        members.sort_by_key(|stat| stat.pid);
        Some(members.into_iter().map(|stat| self.left(stat)).collect())
    }

    fn left(&self, stat: Stat) -> LeftProcess {
        LeftProcess { pid: stat.pid, detached: stat.session != self.session, name: stat.name }
    }

    /// `None` while the process becomes another program: its environment is empty for a moment.
    fn has(&self, stat: &Stat) -> Option<bool> {
        if stat.group == self.group || (self.own_session && stat.session == self.session) {
            return Some(true);
        }
        let Ok(environment) = std::fs::read(format!("/proc/{}/environ", stat.pid)) else {
            return Some(false);
        };
        if environment.is_empty() && stat.parent != KERNEL_THREADS {
            return None;
        }
        let entries: HashSet<&[u8]> = environment.split(|&byte| byte == 0).collect();
        let has_all = self.environment.iter().all(|entry| entries.contains(entry.as_slice()));
        Some(has_all && !self.environment.is_empty())
    }
}

/// Those that belong and the others. Asks again, after a pause, about all that can't be told yet.
fn sort(
    mut unsorted: Vec<Stat>,
    belongs: impl Fn(&Stat) -> Option<bool>,
    mut pause: impl FnMut(),
) -> (Vec<Stat>, Vec<Stat>) {
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for look in 0..EXEC_LOOKS_MAX {
        if look > 0 {
            pause();
        }
        let mut untold = Vec::new();
        for stat in unsorted {
            match belongs(&stat) {
                Some(true) => members.push(stat),
                Some(false) => others.push(stat),
                None => untold.push(stat),
            }
        }
        unsorted = untold;
        if unsorted.is_empty() {
            break;
        }
    }
    others.append(&mut unsorted);
    (members, others)
}

fn entry(name: &OsStr, value: &OsStr) -> Vec<u8> {
    [name.as_bytes(), b"=", value.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read_and_a_zombie_is_not() {
        let rest = "1 7 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        let stat = Stat::parse(12, format!("12 (a) (b c) S {rest}").as_bytes()).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.group), ("a) (b c", 1, 7));
        assert_eq!((stat.session, stat.started), (9, 4711));
        assert!(!stat.ended && Stat::parse(12, format!("12 (a) Z {rest}").as_bytes()).unwrap().ended);
        for torn in ["", "12", "12 (a", "12 (a)", "12 (a) S 1 2", ")("] {
            assert!(Stat::parse(12, torn.as_bytes()).is_none(), "{torn}");
        }
    }

    #[test]
    fn however_many_processes_have_no_environment_they_are_waited_for_together() {
        let stat = |pid| Stat::parse(pid, b"1 (a) S 1 7 9 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 4711 1").unwrap();
        let pauses = std::cell::Cell::new(0);
        // The last one turns out to belong after a while, the others never.
        let belongs = |stat: &Stat| (stat.pid == 99 && pauses.get() > 5).then_some(true);
        let pause = || pauses.set(pauses.get() + 1);
        let (members, others) = sort((0..100).map(stat).collect(), belongs, pause);
        assert_eq!((members.len(), members[0].pid, others.len()), (1, 99, 99));
        assert_eq!(pauses.get(), EXEC_LOOKS_MAX - 1);
        sort((0..100).map(stat).collect(), |_| Some(false), || panic!("all is told at once"));
    }

    #[test]
    fn many_processes_are_counted_beyond_the_first_ones() {
        let process = |pid| LeftProcess { pid, name: "sleep".to_owned(), detached: pid == 1 };
        let facts = LeftProcess::facts(&(1..=40).map(process).collect::<Vec<_>>());
        assert_eq!(facts[0], json!({ "pid": 1, "name": "sleep", "detached": true }));
        assert_eq!((facts.as_array().unwrap().len(), &facts[32]), (33, &json!({ "more": 8 })));
    }
}
