//! Pending logins, and which one is evicted when all slots are taken. Does not know SSH.
//!
//! OpenSSH refuses new connections at random (`MaxStartups`) or by address
//! (`PerSourceMaxStartups`), which also hits many logins at once from one address. Here a new
//! connection evicts the oldest pending login of the busiest address: a login takes a moment, so a
//! slot held without one is likely abuse.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::auth::failures::network;

/// Pending logins in order of arrival.
#[derive(Default)]
pub(crate) struct PendingLogins {
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    number: u64,
    address: IpAddr,
    evicted: Arc<Notify>,
}

/// A pending login. Dropped after the login, or with the connection.
pub(crate) struct PendingLogin {
    pending: Arc<PendingLogins>,
    number: u64,
}

impl Drop for PendingLogin {
    fn drop(&mut self) {
        let mut waiting = self.pending.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiting| waiting.number != self.number);
    }
}

impl PendingLogins {
    /// Adds a connection. Returns its entry and the notification of its eviction.
    pub(crate) fn add(self: &Arc<Self>, number: u64, address: IpAddr) -> (PendingLogin, Arc<Notify>) {
        let evicted = Arc::new(Notify::new());
        let waiting = Waiting { number, address: network(address), evicted: evicted.clone() };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        (PendingLogin { pending: self.clone(), number }, evicted)
    }

    /// Evicts one. False if none is pending.
    pub(crate) fn evict_one(&self) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for one in waiting.iter() {
            *counts.entry(one.address).or_default() += 1;
        }
        let most = counts.values().copied().max();
        let Some(index) = waiting.iter().position(|one| counts.get(&one.address).copied() == most) else {
            return false;
        };
        waiting.remove(index).evicted.notify_one();
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
        let pending = Arc::new(PendingLogins::default());
        assert!(!pending.evict_one());
        let came = [1, 2, 3, 2, 3, 3];
        let tickets: Vec<_> =
            came.iter().zip(0..).map(|(&last, number)| pending.add(number, address(last)).0).collect();
        let left = |pending: &PendingLogins| {
            pending.waiting.lock().unwrap().iter().map(|waiting| waiting.number).collect::<Vec<_>>()
        };
        assert!(pending.evict_one());
        assert_eq!(left(&pending), [0, 1, 3, 4, 5]);
        assert!(pending.evict_one());
        assert_eq!(left(&pending), [0, 3, 4, 5]);
        drop(tickets);
        assert!(left(&pending).is_empty() && !pending.evict_one());
    }
}
