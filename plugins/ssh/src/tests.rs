//! What can be told without a client: how failures are counted, which variables pass, and that no password is nobody's.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use tapedeck_sdk::Timestamp;

use crate::limits::{Failures, Life};
use crate::options::SshOptions;

const START: Timestamp = Timestamp(1_700_000_000_000_000_000);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_is_turned_away_from_its_last_allowed_failure_on_for_a_minute() {
    let failures = Failures::new(3);
    let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!([0, 1, 2, 3].map(|_| failures.count(bad, START)), [false, false, true, false]);
    assert!(failures.bars(bad, START) && !failures.bars(good, START));
    assert!(failures.bars(bad, START + Duration::from_secs(59)));
    assert!(!failures.bars(bad, START + Duration::from_secs(60)));
    assert!(!failures.count(bad, START + Duration::from_secs(61)));
    assert!(!failures.bars(bad, START + Duration::from_secs(61)));
}

#[test]
fn an_address_of_version_6_stands_for_its_network_and_a_mapped_one_for_itself() {
    let failures = Failures::new(1);
    failures.count(address("2001:db8:0:1::5"), START);
    assert!(failures.bars(address("2001:db8:0:1:ffff::9"), START));
    assert!(!failures.bars(address("2001:db8:0:2::5"), START));
    failures.count(address("::ffff:192.0.2.7"), START);
    assert!(failures.bars(address("192.0.2.7"), START));
    assert!(!failures.bars(address("::ffff:192.0.2.8"), START));
}

#[test]
fn however_many_addresses_fail_the_latest_are_remembered() {
    let failures = Failures::new(1);
    let of = |number: u32| IpAddr::V4(number.into());
    for number in 0..10_000 {
        failures.count(of(number), START + Duration::from_millis(number.into()));
    }
    let now = START + Duration::from_secs(10);
    assert!(failures.bars(of(9_999), now) && failures.bars(of(9_000), now));
    assert!(!failures.bars(of(0), now));
}

#[test]
fn silence_is_counted_from_the_last_sign_of_life() {
    let life = Life::new(START);
    assert!(!life.logged_in());
    life.log_in();
    life.touch(START + Duration::from_secs(5));
    assert_eq!(life.silent_for(START + Duration::from_secs(7)), Duration::from_secs(2));
    assert!(life.logged_in());
}

#[test]
fn only_variables_on_the_list_pass() {
    let options = json!({ "authorized_keys": "keys", "environment": ["LANG", "LC_*"] });
    let options: SshOptions = serde_json::from_value(options).unwrap();
    for (name, passes) in [
        ("LANG", true),
        ("LC_ALL", true),
        ("LANGUAGE", false),
        ("PATH", false),
        ("", false),
        ("LC_A=B", false),
    ] {
        assert_eq!(options.allows(name), passes, "{name}");
    }
}

#[test]
fn the_hash_that_stands_for_unknown_users_is_sound_and_costs_what_a_real_one_does() {
    let hash = argon2::PasswordHash::new(crate::auth::NOBODY).unwrap();
    let work = argon2::Params::try_from(&hash).unwrap();
    let usual = argon2::Params::default();
    assert!(hash.hash.is_some());
    assert_eq!(
        (work.m_cost(), work.t_cost(), work.p_cost()),
        (usual.m_cost(), usual.t_cost(), usual.p_cost())
    );
}
