//! How a source gets hold of its target when it is opened: finds or starts it, and waits until it is ready. Knows nothing of
//! rows.

use std::io;
use std::time::Duration;

use tapedeck_sdk::{Error, Host};

use crate::attach::{Attempt, Found, Trouble, trouble};
use crate::chain::{Chain, Way};
use crate::errors;
use crate::options::{Attribute, MemoryOptions};
use crate::process::{Image, Target, names, process_of, running};

/// How long a program that the pipeline starts has to get ready, if the pipeline doesn't say.
const SPAWN_TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses between looks at a target that is not ready: doubled each time, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A target, and where its variables are.
pub(crate) struct Attached {
    pub(crate) target: Target,
    /// The memory that the chain's addresses are of.
    pub(crate) image: Image,
    pub(crate) chain: Chain,
}

/// The process that `process` or `pid` means.
pub(crate) fn find(options: &MemoryOptions) -> Result<Target, Trouble> {
    let absent = |error: &io::Error| error.raw_os_error() == Some(libc::ESRCH);
    let (pid, gone) = match (&options.process, options.pid) {
        (Some(name), _) => {
            let (all, named) = running(name);
            match &named[..] {
                [only] => (only.pid, errors::absent_process(name, &all)),
                [] => return Err(Trouble::NotYet(errors::absent_process(name, &all))),
                // Between `fork` and `execve` a child has its parent's name; a launcher may share the game's.
                several => return Err(Trouble::NotYet(errors::several_processes(name, several))),
            }
        }
        (None, pid) => {
            let pid = pid.and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
            let Some(process) = process_of(pid) else { return Err(Trouble::NotYet(errors::absent_pid(pid))) };
            (process, errors::absent_pid(pid))
        }
    };
    match Target::open(pid, options.process.as_deref()) {
        Ok(target) => Ok(target),
        Err(error) if absent(&error) => Err(Trouble::NotYet(gone)),
        Err(error) => Err(Trouble::Final(errors::unreadable(names(pid).shown(), pid, &error))),
    }
}

/// The chains of all attributes, given where each starts.
pub(crate) fn chain(attributes: &[Attribute], found: &Found) -> Chain {
    let starts = found.starts.iter().zip(&found.widths);
    let ways = attributes.iter().zip(starts).map(|(attribute, (&start, &width))| Way {
        start,
        width,
        path: &attribute.path,
        pointers: attribute.pointers,
        length: attribute.value_type.length,
    });
    Chain::new(&ways.collect::<Vec<_>>())
}

/// The first attach, which may wait.
pub(crate) struct Opening<'a> {
    pub(crate) options: &'a MemoryOptions,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) host: &'a dyn Host,
}

impl Opening<'_> {
    /// Tries until it works, waiting can't help, or the time is up.
    pub(crate) fn attach(&self) -> Result<Attached, Error> {
        let default = if self.options.spawn.is_some() { SPAWN_TIMEOUT } else { Duration::ZERO };
        let timeout = self.options.attach_timeout.map_or(default, |timeout| timeout.0);
        let begin = self.host.now();
        let (mut waited, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        let mut target = self.spawn()?;
        loop {
            match self.attempt(&mut target) {
                Ok((image, chain)) => {
                    let unread = (0..chain.len()).filter(|&index| chain.value(index).is_none());
                    let unread: Vec<&str> =
                        unread.map(|index| self.attributes[index].name.as_str()).collect();
                    let attached =
                        target.take_if(|target| unread.is_empty() || waited >= timeout || !target.is_ours());
                    if let Some(target) = attached {
                        self.tell(&target, &unread);
                        return Ok(Attached { target, image, chain });
                    }
                }
                Err(Trouble::NotYet(_)) if waited < timeout => {
                    // A process that was found by name is looked for again: it may have been the wrong one.
                    drop(target.take_if(|target| !target.is_ours()));
                }
                // Another one of that name may come.
                Err(Trouble::Gone(_)) if waited < timeout && self.options.process.is_some() => target = None,
                Err(trouble) => return Err(trouble.into_error()),
            }
            std::thread::sleep(pause);
            // A clock that stands still (in tests) must not keep us for ever.
            waited = (waited + pause).max(self.host.now().since(begin));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What the user may not expect.
    fn tell(&self, target: &Target, unread: &[&str]) {
        let (name, pid) = (target.name(), target.pid());
        let thread =
            self.options.pid.filter(|&thread| i32::try_from(thread).is_ok_and(|thread| thread != pid));
        if let Some(thread) = thread {
            self.host.warn(&format!("{thread} is a thread of the process \"{name}\" ({pid}), which is read"));
        }
        match unread {
            [] => {}
            [only] => self.host.warn(&format!("the attribute \"{only}\" can't be read yet")),
            [first, ..] => {
                self.host
                    .warn(&format!("{} attributes can't be read yet, such as \"{first}\"", unread.len()));
            }
        }
    }

    fn spawn(&self) -> Result<Option<Target>, Error> {
        let Some(words) = &self.options.spawn else { return Ok(None) };
        let program = words.first().map_or("", String::as_str);
        let target = Target::spawn(words, self.options.spawn_output);
        target.map(Some).map_err(|error| errors::cannot_spawn(program, &error))
    }

    /// One try; finds the target if there is none.
    fn attempt(&self, target: &mut Option<Target>) -> Result<(Image, Chain), Trouble> {
        let target = match target {
            Some(target) => target,
            None => target.insert(find(self.options)?),
        };
        let mut attempt = Attempt::begin(target, self.attributes, self.options)?;
        while !attempt.advance(target, || true)? {}
        let found = attempt.finish(target, self.attributes)?;
        let mut chain = chain(self.attributes, &found);
        chain.read(target.pid(), || {}).map_err(|error| trouble(target, &error))?;
        if found.image.is_current() {
            Ok((found.image, chain))
        } else if target.exited() {
            let status = target.exit_status();
            Err(Trouble::Gone(errors::exited_early(target.name(), target.pid(), status)))
        } else {
            Err(Trouble::NotYet(errors::replaced_early(target.name(), target.pid())))
        }
    }
}
