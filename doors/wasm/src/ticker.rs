//! The thread that ends calls into components in time: while one computes, it lets the epoch of the `wasmtime` engine pass. It sleeps
//! as long as none does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use tapedeck_sdk::Error;
use wasmtime::Engine;

use crate::door::StartThread;

/// The step in which the time of calls is measured. A finer one costs wake-ups.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Time in steps of the ticker. The first step may be nearly over, so there is one more.
pub(crate) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}

/// Held by every instance: the thread lives as long as there is one.
pub(crate) struct Ticker(Arc<Pulse>);

#[derive(Default)]
struct Pulse {
    /// Calls that compute now.
    running: AtomicUsize,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(engine: Engine, start_thread: StartThread) -> Result<Self, Error> {
        let pulse = Arc::new(Pulse::default());
        let beating = pulse.clone();
        start_thread("wasm ticker", Box::new(move || beating.beat(&engine))).map_err(|error| {
            Error::environment(format!("can't start the thread that watches over WASM plugins: {error}"))
                .with_hint("see `ulimit -u`")
        })?;
        Ok(Self(pulse))
    }

    /// Lets time pass until the returned value is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.0.begin();
        Running(&self.0)
    }

    /// What [`run`](Self::run) began rests until the returned value is dropped: a call waits, and is ended otherwise.
    pub(crate) fn rest(&self) -> Resting<'_> {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        Resting(&self.0)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
        self.0.wake();
    }
}

impl Pulse {
    fn beat(&self, engine: &Engine) {
        let _ = self.thread.set(std::thread::current());
        while !self.is_over.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                std::thread::sleep(TICK);
                engine.increment_epoch();
                continue;
            }
            self.is_asleep.store(true, Ordering::SeqCst);
            // Who begins from here on sees that the thread sleeps, and wakes it.
            if self.running.load(Ordering::SeqCst) == 0 && !self.is_over.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.is_asleep.store(false, Ordering::SeqCst);
        }
    }

    fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.is_asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// A call that computes.
pub(crate) struct Running<'ticker>(&'ticker Pulse);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A call that waits.
pub(crate) struct Resting<'ticker>(&'ticker Pulse);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(what: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if what() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("it did not come to that within ten seconds");
    }

    #[test]
    fn the_thread_sleeps_while_nothing_runs_and_ends_with_the_last_instance() {
        #[expect(clippy::disallowed_methods, reason = "there is no engine here")]
        let start = |_: &str, run| std::thread::Builder::new().spawn(run).map(drop);
        let ticker = Ticker::start(Engine::default(), start).unwrap();
        let pulse = ticker.0.clone();
        let is_asleep = || pulse.is_asleep.load(Ordering::SeqCst);
        until(is_asleep);
        for _ in 0..3 {
            let running = ticker.run();
            until(|| !is_asleep());
            let resting = ticker.rest();
            until(is_asleep);
            drop(resting);
            until(|| !is_asleep());
            drop(running);
            until(is_asleep);
        }
        drop(ticker);
        until(|| Arc::strong_count(&pulse) == 1);
    }
}
