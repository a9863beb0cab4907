//! Counts failed logins for each address. Knows nothing of SSH.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tapedeck_sdk::Timestamp;

/// How long a failed login counts.
const MEMORY: Duration = Duration::from_secs(60);

/// The most addresses that are remembered. Beyond that those that failed longest ago are forgotten.
const ADDRESSES_MAX: usize = 4096;

/// The failed logins of the last minute.
pub(crate) struct FailedLogins {
    logins_max: u32,
    /// When the present minute of an address began, and how often it has failed since.
    addresses: Mutex<HashMap<IpAddr, (Timestamp, u32)>>,
}

impl FailedLogins {
    pub(crate) fn new(logins_max: u32) -> Self {
        Self { logins_max, addresses: Mutex::default() }
    }

    /// Counts one. Says whether it was the one too many.
    pub(crate) fn count(&self, address: IpAddr, now: Timestamp) -> bool {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, (since, _)| now.since(*since) < MEMORY);
        }
        if addresses.len() >= ADDRESSES_MAX {
            let oldest = addresses.iter().min_by_key(|(_, (since, _))| since.0).map(|(address, _)| *address);
            oldest.and_then(|oldest| addresses.remove(&oldest));
        }
        let entry = addresses.entry(network(address)).or_insert((now, 0));
        if now.since(entry.0) >= MEMORY {
            *entry = (now, 0);
        }
        entry.1 += 1;
        entry.1 == self.logins_max
    }

    /// Whether the address is turned away.
    pub(crate) fn is_banned(&self, address: IpAddr, now: Timestamp) -> bool {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses
            .get(&network(address))
            .is_some_and(|(since, count)| *count >= self.logins_max && now.since(*since) < MEMORY)
    }
}

/// Who has one address of version 6 has all of its network's.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
