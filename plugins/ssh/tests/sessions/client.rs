//! A client for what OpenSSH's can't do. Does not know the tests.

use std::sync::Arc;

use russh::client::Handle;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use tokio::runtime::Runtime;

use crate::harness::Gateway;

/// Trusts any host key.
pub(crate) struct Trusting;

impl russh::client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A connection without a login.
#[expect(clippy::async_yields_async, reason = "that a connection can be waited for is of no use here")]
pub(crate) fn connect(gateway: &Gateway) -> impl Future<Output = Handle<Trusting>> + Send + use<> {
    let address = format!("127.0.0.1:{}", gateway.port);
    async { russh::client::connect(Arc::default(), address, Trusting).await.unwrap() }
}

/// A connection of alice's, with her key.
#[expect(clippy::async_yields_async, reason = "that a connection can be waited for is of no use here")]
pub(crate) fn log_in(gateway: &Gateway) -> impl Future<Output = Handle<Trusting>> + Send + use<> {
    let (connected, key) = (connect(gateway), gateway.folder.path().join("alice"));
    async {
        let mut client = connected.await;
        let key = Arc::new(russh::keys::load_secret_key(key, None).unwrap());
        let key = PrivateKeyWithHashAlg::new(key, None);
        assert!(client.authenticate_publickey("alice", key).await.unwrap().success());
        client
    }
}
