//! Waits for whatever comes first. Knows nothing of what is then done.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// What to wait for. What is `None` is not waited for.
#[derive(Default)]
pub(crate) struct Wanted<'fd> {
    /// The command's end.
    pub(crate) ended: Option<BorrowedFd<'fd>>,
    /// The command's output.
    pub(crate) output: Option<BorrowedFd<'fd>>,
    /// Room for input to the command.
    pub(crate) room: Option<BorrowedFd<'fd>>,
    /// The user's input.
    pub(crate) typed: Option<BorrowedFd<'fd>>,
    /// Room on the user's terminal.
    pub(crate) screen: Option<BorrowedFd<'fd>>,
    /// A change of the window's size.
    pub(crate) resized: Option<BorrowedFd<'fd>>,
}

/// What has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) ended: bool,
    pub(crate) output: bool,
    pub(crate) room: bool,
    pub(crate) typed: bool,
    pub(crate) screen: bool,
    pub(crate) resized: bool,
}

impl Ready {
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// Waits at most so long.
pub(crate) fn wait(wanted: &Wanted<'_>, time: Duration) -> Result<Ready, Errno> {
    let list = [
        (wanted.ended, PollFlags::IN),
        (wanted.output, PollFlags::IN),
        (wanted.room, PollFlags::OUT),
        (wanted.typed, PollFlags::IN),
        (wanted.screen, PollFlags::OUT),
        (wanted.resized, PollFlags::IN),
    ];
    let Some(any) = list.iter().find_map(|(fd, _)| *fd) else { return Ok(Ready::default()) };
    let mut fds = [const { None }; 6].map(|_: Option<()>| PollFd::from_borrowed_fd(any, PollFlags::empty()));
    // Where each one stands among those that are waited for.
    let (mut places, mut count) = ([None; 6], 0);
    for ((fd, flags), place) in list.into_iter().zip(&mut places) {
        if let Some(fd) = fd {
            fds[count] = PollFd::from_borrowed_fd(fd, flags);
            *place = Some(count);
            count += 1;
        }
    }
    match rustix::event::poll(&mut fds[..count], time.try_into().ok().as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    let ready = |index: usize| places[index].is_some_and(|place: usize| !fds[place].revents().is_empty());
    Ok(Ready {
        ended: ready(0),
        output: ready(1),
        room: ready(2),
        typed: ready(3),
        screen: ready(4),
        resized: ready(5),
    })
}
