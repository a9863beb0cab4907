//! What a pipeline grants to a component: its `sandbox` table.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tapedeck_sdk::options::{ByteSize, DurationText};
use tapedeck_sdk::{Error, ErrorKind, Timestamp};
use wasmtime_wasi::{Deterministic, FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::stderr::Stderr;

/// The key of the table, beside the plugin's own options.
pub(crate) const KEY: &str = "sandbox";

/// What the component may do, and how much of what it may use. Nothing is granted unless it stands here.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// The most memory, of all memories and tables together.
    pub memory: ByteSize,
    /// The longest that one call may take, in steps of 5 ms. A source may take until its deadline besides.
    pub call_timeout: DurationText,
    /// The most bytes that one call may hand on.
    pub output: ByteSize,
    /// Folders that may be read, seen under the names given here.
    pub read: Vec<PathBuf>,
    /// Folders that may be read and written, seen under the names given here.
    pub write: Vec<PathBuf>,
    /// Addresses that may be connected to, as "host:port".
    pub network: Vec<String>,
    /// Names of environment variables that are shown.
    pub environment: Vec<String>,
    /// Whether the component sees clocks that move during a call.
    pub clock: bool,
    /// Whether random numbers are random; else they come from a fixed seed.
    pub random: bool,
    /// Whether the component may set marks, and pause and resume the session.
    pub control: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            call_timeout: DurationText(Duration::from_secs(1)),
            output: ByteSize(64 << 20),
            read: Vec::new(),
            write: Vec::new(),
            network: Vec::new(),
            environment: Vec::new(),
            clock: false,
            random: false,
            control: false,
        }
    }
}

impl Sandbox {
    /// Parts the options of a stage: the sandbox, and what is the plugin's own.
    pub(crate) fn part(options: &Value) -> Result<(Self, Value), Error> {
        let mut own = options.clone();
        let sandbox = own.as_object_mut().and_then(|table| table.remove(KEY));
        let sandbox = match sandbox {
            Some(table) => serde_json::from_value(table)
                .map_err(|error| Error::option([KEY], format!("the sandbox can't be read: {error}")))?,
            None => Self::default(),
        };
        Self::check(&sandbox)?;
        Ok((sandbox, own))
    }

    fn check(&self) -> Result<(), Error> {
        let memory_max = 4_u64 << 30;
        if self.memory.0 < 1 << 20 || self.memory.0 > memory_max {
            return Err(Error::option([KEY, "memory"], "a component has between 1 MiB and 4 GiB of memory")
                .with_hint("write `memory = \"64MiB\"`"));
        }
        if self.call_timeout.0.is_zero() {
            return Err(Error::option([KEY, "call_timeout"], "a call can't end before it begins")
                .with_hint("write `call_timeout = \"50ms\"`"));
        }
        if let Some(address) = self.network.iter().find(|address| !address.contains(':')) {
            return Err(Error::option([KEY, "network"], format!("\"{address}\" has no port"))
                .with_hint("write `network = [\"127.0.0.1:1883\"]`"));
        }
        Ok(())
    }

    /// Adds the table to the schema of the plugin's own options.
    pub(crate) fn describe(options: &mut Value) -> Result<(), Error> {
        let settings = schemars::generate::SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true);
        let mut table = settings.into_generator().into_root_schema_for::<Self>().to_value();
        if let Some(table) = table.as_object_mut() {
            table.remove("$schema");
            table.remove("title");
        }
        let properties = options
            .as_object_mut()
            .map(|schema| schema.entry("properties").or_insert_with(|| serde_json::json!({})))
            .and_then(Value::as_object_mut)
            .ok_or_else(|| Error::plugin("the options' JSON Schema is no object"))?;
        if properties.contains_key(KEY) {
            return Err(Error::plugin(format!("the option \"{KEY}\" is the engine's"))
                .with_hint("the author of the plugin has to give the option another name"));
        }
        properties.insert(KEY.to_owned(), table);
        Ok(())
    }

    /// What the component sees of the world. `session` is the folder for a sink's files.
    pub(crate) fn wasi(
        &self,
        session: Option<&std::path::Path>,
        stderr: &Stderr,
        now: Timestamp,
    ) -> Result<WasiCtx, Error> {
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(true).stderr(stderr.clone());
        for (folders, permissions) in [(&self.read, FsPerms::ReadOnly), (&self.write, FsPerms::ReadWrite)] {
            for folder in folders {
                let seen = folder.display().to_string();
                builder.preopened_dir(folder, &seen, permissions).map_err(|error| {
                    Error::new(
                        ErrorKind::Environment,
                        format!("can't open a folder for a plugin: {error:#}: {seen}"),
                    )
                    .at_option([KEY])
                    .with_hint("the folder must be there; paths are relative to where tapedeck is started")
                })?;
            }
        }
        if let Some(folder) = session {
            builder.preopened_dir(folder, crate::scratch::SEEN_AS, FsPerms::ReadWrite).map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    format!("can't open a plugin's folder: {error:#}: {}", folder.display()),
                )
            })?;
        }
        let shown: BTreeMap<&String, String> =
            self.environment.iter().filter_map(|name| Some((name, std::env::var(name).ok()?))).collect();
        for (name, value) in shown {
            builder.env(name, value);
        }
        self.allow_network(&mut builder)?;
        if !self.clock {
            let still = Still(u64::try_from(now.nanos()).unwrap_or(0));
            builder.wall_clock(still).monotonic_clock(still);
        }
        if !self.random {
            let seed = || Deterministic::new(SEED.to_vec());
            builder
                .secure_random(seed())
                .insecure_random(seed())
                .insecure_random_seed(u128::from_le_bytes(SEED));
        }
        Ok(builder.build())
    }

    fn allow_network(&self, builder: &mut WasiCtxBuilder) -> Result<(), Error> {
        let mut granted: Vec<SocketAddr> = Vec::new();
        for address in &self.network {
            let found = address.to_socket_addrs().map_err(|error| {
                Error::new(ErrorKind::Environment, format!("can't find the address \"{address}\": {error}"))
                    .at_option([KEY, "network"])
                    .with_hint("write an address as \"host:port\"")
            })?;
            granted.extend(found);
        }
        let any = !granted.is_empty();
        builder.allow_tcp(any).allow_udp(any).allow_ip_name_lookup(any);
        builder.socket_addr_check(move |address, r#use| {
            use wasmtime_wasi::sockets::SocketAddrUse;
            let connects = matches!(
                r#use,
                SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive
            );
            // Connecting binds to a port that the system chooses.
            let anonymous =
                matches!(r#use, SocketAddrUse::TcpBind | SocketAddrUse::UdpBind) && address.port() == 0;
            let allowed = (connects && granted.contains(&address)) || (any && anonymous);
            Box::pin(async move { allowed })
        });
        Ok(())
    }
}

/// What the numbers of a component without randomness come from.
const SEED: [u8; 16] = *b"tapedeck sandbox";

/// A clock that stands.
#[derive(Clone, Copy)]
struct Still(u64);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}
