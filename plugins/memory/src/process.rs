//! The target as a process: finds it, starts it, holds on to it, knows when it is gone. Reads `/proc`; knows nothing of
//! variables.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::maps::{self, file_name};
use crate::options::SpawnOutput;
use crate::program::Names;
use crate::system;

/// How long a program that we started has, after being asked to end, before it is killed.
const END_SECONDS: i64 = 1;

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// Its command line.
    pub(crate) command: String,
}

/// All processes but ourselves, and those that are named `name` among them. A program that has exited is none.
pub(crate) fn running(name: &str) -> (Vec<Candidate>, Vec<Candidate>) {
    let own = i32::try_from(std::process::id()).ok();
    let mut all = Vec::new();
    let mut named = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if Some(pid) == own || is_zombie(pid) {
            continue;
        }
        let names = names(pid);
        let candidate = Candidate { pid, name: names.shown().to_owned(), command: names.words.join(" ") };
        if names.is(name) || is_mapped_as(pid, &names, name) {
            named.push(candidate.clone());
        }
        all.push(candidate);
    }
    (all, named)
}

/// What a process says of itself.
pub(crate) fn names(pid: i32) -> Names {
    let line = read_text(pid, "cmdline");
    Names {
        asked: None,
        comm: read_text(pid, "comm").trim_end_matches('\n').to_owned(),
        // Who shortens its command line leaves NULs behind it.
        words: line.trim_end_matches('\0').split('\0').map(str::to_owned).collect(),
        executable: executable(pid).unwrap_or_default(),
    }
}

/// Whether it has mapped a file of this name and its thread has the begin of it, as Wine's processes have.
fn is_mapped_as(pid: i32, names: &Names, name: &str) -> bool {
    names.is_cut(name) && maps::module(&maps::parse(&read_text(pid, "maps")), name).is_some()
}

/// The process that a thread's number belongs to, which is often the number itself; none if there is no such thread.
pub(crate) fn process_of(thread: i32) -> Option<i32> {
    let status = read_text(thread, "status");
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    group.trim().parse().ok()
}

fn read_text(pid: i32, file: &str) -> String {
    fs::read(format!("/proc/{pid}/{file}"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Whether it has exited and only waits for its parent to notice; also when it is not there at all.
fn is_zombie(pid: i32) -> bool {
    let stat = read_text(pid, "stat");
    // The name stands in parentheses and may hold anything; the state is the first word behind it.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_none_or(|state| matches!(state, 'Z' | 'X'))
}

/// The path of a process's executable.
pub(crate) fn executable(pid: i32) -> io::Result<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    let path = path.to_string_lossy();
    Ok(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
}

/// The memory that a process had when this was opened. It ends with the process, and when that becomes another program
/// (`execve`), which neither its number nor its handle tell.
#[derive(Debug)]
pub(crate) struct Image(fs::File);

/// An address that no process has. An open `/proc/PID/mem` holds on to the memory that it was opened for: reading an address that
/// is not there is `EIO` as long as that memory is in use, and the end of the file afterwards.
const NOWHERE: u64 = i64::MAX as u64 & !0xFFFF;

impl Image {
    /// What the process has now.
    ///
    /// # Errors
    /// We may not read it, or it is gone.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        fs::File::open(format!("/proc/{pid}/mem")).map(Self)
    }

    /// Whether the process still has it. One cheap system call.
    pub(crate) fn is_current(&self) -> bool {
        !matches!(rustix::io::pread(&self.0, &mut [0; 1], NOWHERE), Ok(0))
    }
}

/// A process that we hold on to: the number can't come to mean another one unnoticed.
#[derive(Debug)]
pub(crate) struct Target {
    pid: i32,
    name: String,
    /// What the pipeline calls it, if it does.
    asked: Option<String>,
    handle: OwnedFd,
    child: Option<Child>,
}

impl Target {
    /// Holds on to a running process, which the pipeline may call `asked`.
    ///
    /// # Errors
    /// There is none of that number.
    pub(crate) fn open(pid: i32, asked: Option<&str>) -> io::Result<Self> {
        let asked = asked.map(str::to_owned);
        let name = Names { asked: asked.clone(), ..names(pid) }.shown().to_owned();
        let target = Self { pid, name, asked, handle: open_handle(pid)?, child: None };
        if target.exited() { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(target) }
    }

    /// Starts a program. It ends when this is dropped, and is killed when the thread that called this ends.
    ///
    /// # Errors
    /// It can't be started.
    pub(crate) fn spawn(words: &[String], output: SpawnOutput) -> io::Result<Self> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = || match output {
            SpawnOutput::Null => Stdio::null(),
            SpawnOutput::Inherit => Stdio::inherit(),
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(stream()).stderr(stream());
        system::die_with_us(&mut command);
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let handle = open_handle(pid).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Self { pid, name: file_name(program).to_owned(), asked: None, handle, child: Some(child) })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it says of itself now.
    pub(crate) fn names(&self) -> Names {
        Names { asked: self.asked.clone(), ..names(self.pid) }
    }

    /// Whether we started it.
    pub(crate) fn is_ours(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it is gone. One cheap system call.
    pub(crate) fn exited(&self) -> bool {
        self.wait_seconds(0)
    }

    /// How it ended, if we started it and it did.
    pub(crate) fn exit_status(&mut self) -> Option<String> {
        self.child.as_mut()?.try_wait().ok()?.map(|status| status.to_string())
    }

    fn wait_seconds(&self, seconds: i64) -> bool {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let mut events = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut events, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

fn open_handle(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.child.is_some() && !self.exited() && pidfd_send_signal(&self.handle, Signal::TERM).is_ok() {
            self.wait_seconds(END_SECONDS);
        }
        if let Some(child) = &mut self.child {
            // Both fail only when it has exited already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
