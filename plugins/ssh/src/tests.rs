//! What can be tested without a client: failure counts, variables, hashes, credential files.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::auth::failures::FailedLogins;
use crate::auth::files::{self, Hash, Known};
use crate::options::{SshOptions, Upstream};
use crate::server::state::ConnectionState;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_is_turned_away_from_its_last_allowed_failure_on_for_a_minute() {
    let start = Instant::now();
    let failures = FailedLogins::new(3);
    let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!([0, 1, 2, 3].map(|_| failures.count(bad, start)), [false, false, true, false]);
    assert!(failures.is_banned(bad, start) && !failures.is_banned(good, start));
    assert!(failures.is_banned(bad, start + Duration::from_secs(59)));
    assert!(!failures.is_banned(bad, start + Duration::from_secs(60)));
    assert!(!failures.count(bad, start + Duration::from_secs(61)));
    assert!(!failures.is_banned(bad, start + Duration::from_secs(61)));
}

#[test]
fn an_address_of_version_6_stands_for_its_network_and_a_mapped_one_for_itself() {
    let start = Instant::now();
    let failures = FailedLogins::new(1);
    failures.count(address("2001:db8:0:1::5"), start);
    assert!(failures.is_banned(address("2001:db8:0:1:ffff::9"), start));
    assert!(!failures.is_banned(address("2001:db8:0:2::5"), start));
    failures.count(address("::ffff:192.0.2.7"), start);
    assert!(failures.is_banned(address("192.0.2.7"), start));
    assert!(!failures.is_banned(address("::ffff:192.0.2.8"), start));
}

#[test]
fn however_many_addresses_fail_the_latest_are_remembered() {
    let start = Instant::now();
    let failures = FailedLogins::new(1);
    let of = |number: u32| IpAddr::V4(number.into());
    for number in 0..10_000 {
        failures.count(of(number), start + Duration::from_millis(number.into()));
    }
    let now = start + Duration::from_secs(10);
    assert!(failures.is_banned(of(9_999), now) && failures.is_banned(of(9_000), now));
    assert!(!failures.is_banned(of(0), now));
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_last_sign_of_life() {
    let connection = ConnectionState::new();
    assert!(!connection.logged_in());
    connection.log_in();
    tokio::time::advance(Duration::from_secs(5)).await;
    connection.touch();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!((connection.age(), connection.idle_for()), (Duration::from_secs(7), Duration::from_secs(2)));
    assert!(connection.logged_in());
}

#[tokio::test(start_paused = true)]
async fn a_client_is_stuck_from_the_first_write_that_waits_until_one_goes_through() {
    let connection = ConnectionState::new();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(connection.blocked_for(), Duration::ZERO);
    for _write in 0..2 {
        connection.write_blocked();
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert_eq!(connection.blocked_for(), Duration::from_secs(4));
    connection.write_progressed();
    assert_eq!(connection.blocked_for(), Duration::ZERO);
}

#[test]
fn refused_requests_are_kept_few_and_short() {
    let connection = ConnectionState::new();
    for number in 0..20 {
        connection.refuse(|| format!("subsystem {number} {}", "\u{e9}".repeat(100_000)));
    }
    let refused = connection.refused();
    assert!(refused.len() == 16 && refused.iter().all(|request| request.len() < 300), "{refused:?}");
    assert!(refused[0].starts_with("subsystem 0 \u{e9}") && refused[0].ends_with('\u{2026}'), "{refused:?}");
}

#[test]
fn the_first_reason_to_end_a_connection_is_the_one_that_counts() {
    let connection = ConnectionState::new();
    assert_eq!(connection.end_reason(), None);
    connection.end("first");
    connection.end("second");
    assert_eq!(connection.end_reason(), Some("first"));
}

#[test]
fn only_variables_on_the_list_pass() {
    let options = json!({ "authorized_keys": "keys", "environment": ["LANG", "LC_*", "MY_?_*Y"] });
    let options: SshOptions = serde_json::from_value(options).unwrap();
    for (name, passes) in [
        ("LANG", true),
        ("LC_ALL", true),
        ("LANGUAGE", false),
        ("PATH", false),
        ("", false),
        ("LC_A=B", false),
        ("MY_1_KEY", true),
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

#[test]
fn hashes_of_both_kinds_are_known_and_others_are_not() {
    let argon2 = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$4Smw+8uJE9vkMuQHTI8JCch07funn1w88/v1CwyXAOw";
    let bcrypt = "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
    let users = files::passwords(&format!("# two\n\nann:{argon2}\nbob:{bcrypt}\r\n")).unwrap().entries;
    assert_eq!(
        users,
        [
            ("ann".to_owned(), Hash::Argon2(argon2.to_owned())),
            ("bob".to_owned(), Hash::Bcrypt(bcrypt.to_owned()))
        ]
    );
    for (_, hash) in users {
        assert!(hash.is_of("correct horse") && !hash.is_of("correct hors") && !hash.is_of(""));
        assert!(!hash.is_of("correct\0horse"));
    }
    let slow = bcrypt.replace("$04$", "$31$");
    let weak = bcrypt.replace("$04$", "$03$");
    for line in [
        "ann",
        "ann:",
        "ann:plain",
        &format!(":{bcrypt}"),
        &format!("ann:{slow}"),
        &format!("ann:{weak}"),
        &format!("ann:{}", &bcrypt[..40]),
        "ann:$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "ann:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0",
    ] {
        let parsed = files::passwords(&format!("#\n{line}\nbob:{bcrypt}\n")).unwrap();
        let [fault] = &parsed.faults[..] else { panic!("{line}: {:?}", parsed.faults) };
        assert_eq!(parsed.entries.len(), 1, "{line}");
        assert_eq!((fault.line, fault.what.as_str()), (2, "is not `user:hash`"), "{line}");
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

#[test]
fn a_host_is_found_by_name_pattern_or_hash_and_at_its_port_only() {
    // The hash is of "example.com", as OpenSSH made it.
    let hashed = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {OTHER}");
    for (line, host, port, found) in [
        (format!("host.example {KEY} a comment"), "host.example", 22, true),
        (format!("host.example\t{KEY}"), "Host.Example", 22, true),
        (format!("host.example {KEY}"), "host.example", 2222, false),
        (format!("a,[host.example]:2222 {KEY}"), "host.example", 2222, true),
        (format!("*.example,!bad.example {KEY}"), "good.example", 22, true),
        (format!("*.example,!bad.example {KEY}"), "bad.example", 22, false),
        (format!("h?st* {KEY}"), "host.example", 22, true),
        (format!("h?st {KEY}"), "host.example", 22, false),
        (format!("[::1]:2222 {KEY}"), "::1", 2222, true),
        (hashed.clone(), "example.com", 22, true),
        (hashed, "example.org", 22, false),
        (format!("@cert-authority host.example {KEY}"), "host.example", 22, false),
        (format!("# host.example {KEY}"), "host.example", 22, false),
    ] {
        let hosts = files::known_hosts(&line).unwrap().entries;
        assert_eq!(!Known::of(&hosts, host, port).keys.is_empty(), found, "{line} for {host}:{port}");
    }
    let parsed = files::known_hosts(&format!("a {KEY}\nb\nc {OTHER}\n")).unwrap();
    assert_eq!((parsed.entries.len(), parsed.faults[0].line), (2, 2));
    // What stands for bytes that are not UTF-8.
    let parsed = files::known_hosts(&format!("a {KEY} J\u{fffd}rg\n# \u{fffd}\nc {OTHER}\n")).unwrap();
    assert_eq!((parsed.entries.len(), parsed.faults.len(), parsed.faults[0].line), (1, 1, 1));
    assert_eq!(files::known_hosts(&format!("@revoked a {KEY} \u{fffd}\n")).unwrap_err().line, 1);
    // Skipped, it would make a revoked key trusted.
    assert_eq!(files::known_hosts(&format!("a {KEY}\n @revoked a x\n")).unwrap_err().line, 2);
}

#[test]
fn a_revoked_key_is_trusted_no_more_wherever_it_stands() {
    let key = |text: &str| text.parse::<russh::keys::PublicKey>().unwrap();
    let known = |text: &str| Known::of(&files::known_hosts(text).unwrap().entries, "host", 22);
    let both = known(&format!("host {KEY}\nhost {OTHER}\n"));
    assert!(both.trusts(&key(KEY)) && both.trusts(&key(OTHER)));
    let one = known(&format!("@revoked * {OTHER}\nhost {KEY}\nhost {OTHER}\n"));
    assert!(one.trusts(&key(KEY)) && !one.trusts(&key(OTHER)));
    assert!(!known("").trusts(&key(KEY)));
}

#[test]
fn an_upstream_address_is_a_host_with_or_without_a_port() {
    let place = |address: &str| {
        let options = json!({ "address": address, "key": "k", "known_hosts": "h" });
        serde_json::from_value::<Upstream>(options).unwrap().place().ok()
    };
    let at = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(place("host.example"), at("host.example", 22));
    assert_eq!(place("host.example:2222"), at("host.example", 2222));
    assert_eq!(place("[2001:db8::1]:2222"), at("2001:db8::1", 2222));
    assert_eq!(place("[::1]"), at("::1", 22));
    for wrong in [
        "",
        ":22",
        "host:",
        "host:0",
        "host:70000",
        "host:a",
        "::1",
        "[::1",
        "[]:22",
        "[::1]22",
        "a b",
        "a\0",
    ] {
        assert_eq!(place(wrong), None, "{wrong:?}");
    }
}
