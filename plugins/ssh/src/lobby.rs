//! The connections that have not logged in yet, and which of them must go when all places are taken. Knows nothing of SSH.
//!
//! OpenSSH turns new ones away at random (`MaxStartups`) or by address (`PerSourceMaxStartups`), which hits many logins at once from one
//! address as well as those who only hold places. Here nobody is turned away before all places are taken; then who came first of the
//! address that has most goes: a login takes a moment, and who holds a place without one goes before who has just come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::limits::place;

/// Those who have not logged in, in the order in which they came.
#[derive(Default)]
pub(crate) struct Lobby {
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    number: u64,
    address: IpAddr,
    leave: Arc<Notify>,
}

/// That a connection waits. Dropped when it has logged in, or is gone.
pub(crate) struct Ticket {
    lobby: Arc<Lobby>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = self.lobby.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiting| waiting.number != self.number);
    }
}

impl Lobby {
    /// Takes in a connection. Gives its ticket, and what it hears if it must go.
    pub(crate) fn enter(self: &Arc<Self>, number: u64, address: IpAddr) -> (Ticket, Arc<Notify>) {
        let leave = Arc::new(Notify::new());
        let waiting = Waiting { number, address: place(address), leave: leave.clone() };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        (Ticket { lobby: self.clone(), number }, leave)
    }

    /// Tells one to go. False if nobody waits.
    pub(crate) fn make_room(&self) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for one in waiting.iter() {
            *counts.entry(one.address).or_default() += 1;
        }
        let most = counts.values().copied().max();
        let Some(index) = waiting.iter().position(|one| counts.get(&one.address).copied() == most) else {
            return false;
        };
        waiting.remove(index).leave.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_first_of_the_address_that_has_most_goes_and_then_the_next() {
        let lobby = Arc::new(Lobby::default());
        assert!(!lobby.make_room());
        let came = [1, 2, 3, 2, 3, 3];
        let tickets: Vec<_> =
            came.iter().zip(0..).map(|(&last, number)| lobby.enter(number, address(last)).0).collect();
        let left = |lobby: &Lobby| {
            lobby.waiting.lock().unwrap().iter().map(|waiting| waiting.number).collect::<Vec<_>>()
        };
        assert!(lobby.make_room());
        assert_eq!(left(&lobby), [0, 1, 3, 4, 5]);
        assert!(lobby.make_room());
        assert_eq!(left(&lobby), [0, 3, 4, 5]);
        drop(tickets);
        assert!(left(&lobby).is_empty() && !lobby.make_room());
    }
}
