//! The `ssh` source: starts the server, and makes batches of what comes from it. Knows nothing of SSH.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_sdk::Watermark;
use tapedeck_sdk::prelude::*;
use tapedeck_sdk::terminal;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::accept::{self, Server, Taps};
use crate::auth::Door;
use crate::host_key;
use crate::options::SshOptions;
use crate::tape::{FRAMES_MAX, Frame};
use crate::upstream::Target;

/// The most frames of a batch.
const BATCH_ROWS_MAX: usize = 64;

/// How long the sessions may take to end when the recording does.
const STOP_TIME: Duration = Duration::from_secs(2);

/// A server that is not serving yet: whoever connects waits.
struct Closed {
    server: Arc<Server>,
    listener: TcpListener,
    key: russh::keys::PrivateKey,
    stop: watch::Receiver<bool>,
    /// Where sessions learn how far the recording is, if they wait for it.
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
    /// Whether the recording ends: what is left comes, and then the end.
    stopping: bool,
    /// Ends when nothing runs any more.
    running: mpsc::Receiver<()>,
    runtime: Option<Runtime>,
}

impl Ssh {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken away at the end only")
    }

    /// Lets nobody in any more, and tells all sessions to end.
    fn close(&mut self) {
        self.stopping = true;
        self.closed = None;
        self.stop.send_replace(true);
    }

    fn batch(&mut self) -> Batch {
        let mut builder = self.pool.builder(self.taken.len());
        for frame in self.taken.drain(..) {
            let mut row = builder.push_row(frame.at);
            row.set_str(0, &frame.connection).set_str(1, frame.code).set_bytes(2, &frame.data);
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
                // Before anybody gets in: nobody is to wait for what is never told.
                self.host.follow(0, Box::new(move |mark| _ = marks.send_replace(mark)))?;
            }
            self.runtime().spawn(accept::listen(server, listener, key, stop));
        }
        let time =
            if self.paced && !self.stopping { Duration::ZERO } else { deadline.since(self.host.now()) };
        let runtime = self.runtime.as_ref().expect("it is taken away at the end only");
        let (frames, taken) = (&mut self.frames, &mut self.taken);
        // Nothing is lost when the time is over: frames are taken out of the queue or stay in it.
        let came = runtime
            .block_on(async { tokio::time::timeout(time, frames.recv_many(taken, BATCH_ROWS_MAX)).await });
        match came {
            // Nothing is there any more that could give a frame.
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
        self.close();
        // Whoever waits for room in the queue is told that there will be none.
        self.frames.close();
        if let Some(runtime) = self.runtime.take() {
            let running = &mut self.running;
            drop(runtime.block_on(async { tokio::time::timeout(STOP_TIME, running.recv()).await }));
            runtime.shutdown_timeout(STOP_TIME);
        }
        // Nobody puts anything any more. What nobody took, somebody may have seen.
        let mut left = 0;
        while self.frames.try_recv().is_ok() {
            left += 1;
        }
        if left > 0 {
            self.host.failed(left);
        }
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
            return Err(Error::option(["on_record_failure"], message).with_hint(
                "Remove `rate` (the server sends what there is when it is there), or take \"continue\".",
            ));
        }
        if options.input && options.upstream.is_some() {
            context.host.warn(
                "input is recorded, and whether an upstream terminal shows it can't be known: passwords that are typed there are recorded too",
            );
        }
        if options.authorized_keys.is_some()
            && options.upstream.as_ref().is_some_and(|upstream| upstream.user.is_none())
        {
            context.host.warn(
                "whoever has a key in `authorized_keys` gets in at the upstream under any name there, \"root\" included; `upstream.user` names one",
            );
        }
        let door = Door::new(&options)?;
        let upstream = options.upstream.as_ref().map(|upstream| Target::new(upstream, context.host.clone()));
        let upstream = upstream.transpose()?.map(Arc::new);
        let key = host_key::load_or_make(&options.host_key, context.host.as_ref())?;
        let schema = terminal::schema(&context.id).build()?;
        // One worker: the recording keeps the order in which things happened, and the other cores are the engine's.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("ssh")
            .enable_all()
            .build()
            .map_err(|error| Error::environment(format!("can't start the network's thread: {error}")))?;
        let listener = runtime.block_on(TcpListener::bind(listen)).map_err(|error| {
            Error::environment(format!("can't listen on {listen}: {error}"))
                .with_hint("Another program may have the port; name another one, such as \"127.0.0.1:2223\".")
                .at_option(["listen"])
        })?;
        let address = listener.local_addr().unwrap_or(listen);
        if listen.port() == 0 {
            context.host.warn(&format!("the system chose where to listen: {address}"));
        }
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        let (guard, running) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let (marks, marked) = options.is_strict().then(|| watch::channel(Watermark::default())).unzip();
        let taps = Taps { frames: sender, marks: marked, running: guard };
        let server = Arc::new(Server::new(options, door, upstream, address, context.host.clone(), taps));
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
