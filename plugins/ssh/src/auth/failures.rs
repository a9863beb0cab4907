//! Counts failed logins per address. Does not know SSH.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a failed login counts.
const MEMORY: Duration = Duration::from_secs(60);

/// The most addresses remembered. Beyond that the oldest failures are forgotten.
const ADDRESSES_MAX: usize = 4096;

/// Failed logins of the last minute.
pub(crate) struct FailedLogins {
    logins_max: u32,
    /// Start of each address's current minute, and its failures since.
    addresses: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl FailedLogins {
    pub(crate) fn new(logins_max: u32) -> Self {
        Self { logins_max, addresses: Mutex::default() }
    }

    /// Counts a failure. True when it reaches the limit.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) -> bool {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, (since, _)| now.duration_since(*since) < MEMORY);
        }
        if addresses.len() >= ADDRESSES_MAX {
            let oldest = addresses.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address);
            oldest.and_then(|oldest| addresses.remove(&oldest));
        }
        let entry = addresses.entry(network(address)).or_insert((now, 0));
        if now.duration_since(entry.0) >= MEMORY {
            *entry = (now, 0);
        }
        entry.1 += 1;
        entry.1 == self.logins_max
    }

    /// Whether connections of the address are refused.
    pub(crate) fn is_banned(&self, address: IpAddr, now: Instant) -> bool {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses
            .get(&network(address))
            .is_some_and(|(since, count)| *count >= self.logins_max && now.duration_since(*since) < MEMORY)
    }
}

/// An IPv6 address stands for its /64 network: its owner has all of it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
