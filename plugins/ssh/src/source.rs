//! The `ssh` source: starts the server, and makes batches of its frames. Does not know SSH.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::Watermark;
use tapedeck_sdk::kinds::terminal;
use tapedeck_sdk::prelude::*;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::auth::{Authenticator, keys};
use crate::backend::upstream::UpstreamHost;
use crate::options::SshOptions;
use crate::recording::recorder::{Frame, FrameQueue};
use crate::server::{Links, Server, listener};

/// The most frames of a batch.
const BATCH_ROWS_MAX: usize = 64;

/// Descriptors of the rest of the process: sinks, the engine.
const OTHER_DESCRIPTORS: usize = 320;

/// How long sessions may take to end with the recording.
const STOP_TIME: Duration = Duration::from_secs(2);

/// A server that does not accept yet: clients wait.
struct Closed {
    server: Arc<Server>,
    listener: TcpListener,
    key: russh::keys::PrivateKey,
    stop: watch::Receiver<bool>,
    /// Where sessions read the watermark, in strict mode.
    marks: Option<watch::Sender<Watermark>>,
}

/// The server and its recordings.
pub(crate) struct Ssh {
    streams: [Arc<StreamSchema>; 1],
    pool: BatchPool,
    host: Arc<dyn Host>,
    paced: bool,
    frames: mpsc::Receiver<Frame>,
    taken: Vec<Frame>,
    closed: Option<Closed>,
    stop: watch::Sender<bool>,
    /// Whether the recording ends: remaining frames come, then the end.
    stopping: bool,
    /// Closed when nothing runs any more.
    running: mpsc::Receiver<()>,
    runtime: Option<Runtime>,
}

impl Ssh {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken away at the end only")
    }

    /// Stops accepting, and tells all sessions to end.
    fn close(&mut self) {
        self.stopping = true;
        self.closed = None;
        self.stop.send_replace(true);
    }

    fn batch(&mut self) -> Batch {
        let mut builder = self.pool.builder(self.taken.len());
        for frame in self.taken.drain(..) {
            let (connection, code) = (&frame.connection, frame.code.letter());
            let row = terminal::Row { connection, code, data: &frame.data };
            row.put(&mut builder.push_row(frame.at));
        }
        builder.finish()
    }
}

impl Source for Ssh {
    fn streams(&self) -> &[Arc<StreamSchema>] {
        &self.streams
    }

    fn next(&mut self, deadline: Timestamp) -> Result<Next, Error> {
        if let Some(Closed { server, listener, key, stop, marks }) = self.closed.take() {
            if let Some(marks) = marks {
                // Before the first client: nobody may wait for a watermark that never comes.
                self.host.follow(0, Box::new(move |mark| _ = marks.send_replace(mark)))?;
            }
            self.runtime().spawn(listener::listen(server, listener, key, stop));
        }
        let time =
            if self.paced && !self.stopping { Duration::ZERO } else { deadline.since(self.host.now()) };
        let runtime = self.runtime.as_ref().expect("it is taken away at the end only");
        let (frames, taken) = (&mut self.frames, &mut self.taken);
        // Cancel safe: a timeout leaves frames in the queue.
        let came = runtime
            .block_on(async { tokio::time::timeout(time, frames.recv_many(taken, BATCH_ROWS_MAX)).await });
        match came {
            // Nothing is left that could record a frame.
            Ok(0) => Ok(Next::End),
            Ok(_) => Ok(Next::Batch { output: 0, batch: self.batch() }),
            Err(_late) => Ok(Next::Idle),
        }
    }

    fn stop(&mut self) -> Result<bool, Error> {
        self.close();
        Ok(true)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // Wakes tasks that wait for room in the queue. Before sessions are told to end: nobody takes what they would record of it.
        self.frames.close();
        self.close();
        if let Some(runtime) = self.runtime.take() {
            let running = &mut self.running;
            drop(runtime.block_on(async { tokio::time::timeout(STOP_TIME, running.recv()).await }));
            runtime.shutdown_timeout(STOP_TIME);
        }
        // Frames left in the queue may have been seen by a client.
        let mut left = 0;
        while self.frames.try_recv().is_ok() {
            left += 1;
        }
        if left > 0 {
            self.host.failed(left);
        }
    }
}

/// Warns if the system's limit is below what the options allow to be open.
fn warn_of_descriptors(options: &SshOptions, host: &dyn Host) {
    let needed = options.descriptors_max().saturating_add(OTHER_DESCRIPTORS);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit.filter(|&limit| limit < needed as u64) {
        host.warn(&format!(
            "up to {needed} descriptors may be needed and the limit is {limit}: raise it (`ulimit -n`), or lower `connections_max` and `channels_max`"
        ));
    }
}

impl OpenSource for Ssh {
    type Options = SshOptions;

    fn describe() -> Description {
        Description::source("ssh", "An SSH server that records its sessions")
            .version(env!("CARGO_PKG_VERSION"))
            .gives(&[Kind::Terminal])
    }

    fn check(options: &SshOptions) -> Result<(), Error> {
        options.check().map(drop)
    }

    fn open(options: SshOptions, context: Context) -> Result<Self, Error> {
        let listen = options.check()?;
        if options.is_strict() && context.rate_hz.is_some() {
            let message = "a session can't wait for its recording while the source has a `rate`";
            return Err(Error::option(["on_record_failure"], message)
                .with_hint("remove `rate`, or take \"continue\""));
        }
        if options.input && options.upstream.is_some() {
            context.host.warn(
                "input is recorded, and an upstream terminal's echo is unknown: passwords typed there are recorded too",
            );
        }
        if options.authorized_keys.is_some()
            && options.upstream.as_ref().is_some_and(|upstream| upstream.user.is_none())
        {
            context.host.warn(
                "a key in `authorized_keys` logs in at the upstream under any name, \"root\" included; `upstream.user` names one",
            );
        }
        warn_of_descriptors(&options, context.host.as_ref());
        let authenticator = Authenticator::new(&options, &context.host)?;
        let upstream =
            options.upstream.as_ref().map(|upstream| UpstreamHost::new(upstream, context.host.clone()));
        let upstream = upstream.transpose()?.map(Arc::new);
        let key = keys::load_or_make(&options.host_key, context.host.as_ref())?;
        let schema = terminal::schema(&context.id).build()?;
        // One worker keeps frames in the order of events; the other cores are the engine's.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("ssh")
            .enable_all()
            .build()
            .map_err(|error| Error::environment(format!("can't start the network's thread: {error}")))?;
        let listener = runtime.block_on(TcpListener::bind(listen)).map_err(|error| {
            Error::environment(format!("can't listen on {listen}: {error}"))
                .with_hint("another program may have the port; name another one, such as \"127.0.0.1:2223\"")
                .at_option(["listen"])
        })?;
        let address = listener.local_addr().unwrap_or(listen);
        if listen.port() == 0 {
            context.host.warn(&format!("the system chose where to listen: {address}"));
        }
        let (queue, frames) = FrameQueue::new();
        let (guard, running) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let (marks, marked) = options.is_strict().then(|| watch::channel(Watermark::default())).unzip();
        let links = Links { frames: queue, marks: marked, running: guard };
        let server =
            Arc::new(Server::new(options, authenticator, upstream, address, context.host.clone(), links));
        Ok(Self {
            pool: BatchPool::new(schema.clone()),
            streams: [schema],
            host: context.host,
            paced: context.rate_hz.is_some(),
            frames,
            taken: Vec::with_capacity(BATCH_ROWS_MAX),
            closed: Some(Closed { server, listener, key, stop: stopped, marks }),
            stop,
            stopping: false,
            running,
            runtime: Some(runtime),
        })
    }
}
