//! An upstream host that does what OpenSSH's server does not: output before the answer, and a late
//! exit status.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::{log_in, runtime};
use crate::harness::{Gateway, folder, make_key};

const FIRST: &str = "alice-127.0.0.1-1";

/// Delay of the exit status after the end of output.
const LATE: Duration = Duration::from_millis(150);

/// Whether a port was to be forwarded.
static FORWARD_ASKED: AtomicBool = AtomicBool::new(false);

/// Admits every client and runs everything at once.
struct Hasty;

impl Handler for Hasty {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // No answer: a dropped one refuses.
        std::mem::forget(reply);
        FORWARD_ASKED.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if command == b"late" {
            let handle = session.handle();
            tokio::spawn(async move {
                handle.data(id, &b"out\n"[..]).await.unwrap();
                handle.eof(id).await.unwrap();
                tokio::time::sleep(LATE).await;
                handle.exit_status_request(id, 9).await.unwrap();
                handle.close(id).await.unwrap();
            });
            return session.channel_success(id);
        }
        session.data(id, &b"early\n"[..])?;
        session.extended_data(id, 1, &b"trouble\n"[..])?;
        session.eof(id)?;
        session.exit_status_request(id, 7)?;
        session.channel_success(id)?;
        session.close(id)
    }
}

/// Serves one connection after another.
async fn serve(listener: TcpListener, key: PrivateKey) {
    let methods = MethodSet::from([MethodKind::PublicKey].as_slice());
    let config = Arc::new(Config { keys: vec![key], methods, ..Config::default() });
    while let Ok((stream, _)) = listener.accept().await {
        if let Ok(session) = russh::server::run_stream(config.clone(), stream, Hasty).await {
            drop(session.await);
        }
    }
}

fn known(folder: &Path, name: &str, at: SocketAddr) -> String {
    let key = std::fs::read_to_string(folder.join(name).with_extension("pub")).unwrap();
    format!("[127.0.0.1]:{} {key}", at.port())
}

/// A gateway in front of such a host.
fn gateway(runtime: &Runtime, more: &Value) -> Gateway {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for key in ["host", "gate"] {
        make_key(folder.path(), key);
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve(listener, russh::keys::load_secret_key(at("host"), None).unwrap()));
    std::fs::write(at("hosts"), known(folder.path(), "host", address)).unwrap();
    let upstream = json!({
        "address": address.to_string(),
        "user": "somebody",
        "key": at("gate"),
        "known_hosts": at("hosts"),
    });
    let mut options = more.clone();
    options["upstream"] = upstream;
    Gateway::in_folder(folder, options)
}

#[test]
fn what_an_upstream_host_says_before_it_answers_comes_through() {
    let runtime = runtime();
    let mut gateway = gateway(&runtime, &json!({}));
    let mut command = gateway.ssh("alice");
    let output = gateway.run(command.arg("date"));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"early\n"[..], &b"trouble\n"[..]));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (gateway.text(FIRST, "o").as_str(), gateway.text(FIRST, "x").as_str()),
        ("early\ntrouble\n", "7")
    );
}

#[test]
fn a_forward_that_the_upstream_host_never_answers_ends_with_its_client() {
    let runtime = runtime();
    let mut gateway = gateway(&runtime, &json!({ "forwarding": true, "channels_max": 1 }));
    let (client, clients) = (log_in(&gateway), crate::client::runtime());
    clients.spawn(async {
        let client = client.await;
        drop(client.channel_open_direct_tcpip("127.0.0.1", 1, "127.0.0.1", 1).await);
    });
    gateway.until("the question", |_| FORWARD_ASKED.load(Ordering::Relaxed));
    assert_eq!(gateway.run(gateway.ssh("alice").arg("date")).status.code(), Some(255), "there is no place");
    drop(clients);
    let served = |gateway: &mut Gateway| gateway.run(gateway.ssh("alice").arg("date")).stdout == b"early\n";
    assert!((0..100).any(|_attempt| served(&mut gateway)), "its place is free again");
}

#[test]
fn a_client_that_goes_with_the_last_output_hears_how_it_ended_all_the_same() {
    let runtime = runtime();
    let mut gateway = gateway(&runtime, &json!({}));
    let socket = gateway.folder.path().join("mux");
    let control = format!("ControlPath={}", socket.display());
    let options = ["-o", "BatchMode=yes", "-o", &control];
    // A client of a shared connection closes its channel at EOF.
    let mut master = gateway.ssh_with("alice", &options, "alice");
    let mut master = master.args(["-N", "-o", "ControlMaster=yes"]).spawn().unwrap();
    gateway.until("the connection", |_| socket.exists());
    let mut command = gateway.ssh_with("alice", &options, "alice");
    let output = gateway.run(command.arg("late"));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(9), &b"out\n"[..]));
    assert_eq!(gateway.text(FIRST, "x"), "9");
    master.kill().unwrap();
    master.wait().unwrap();
}
