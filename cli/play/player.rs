//! The loop of `play`: waits until the next event is due, and does meanwhile what the user wants. What an event is and how it is shown,
//! a [`Show`] knows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tapedeck_engine::clock::SessionClock;
use tapedeck_engine::playback::PlaybackClock;
use tapedeck_sdk::{Error, Timestamp};
use tapedeck_terminal::Typed;

use super::arguments::Speed;
use super::keys::{self, Wish};
use super::screen::Screen;

/// How long one wait is at most, and how often keys are looked for while everything is due: signals and the picture wait for it.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(33);

/// Two marks closer than this are one to the key that goes back.
const MARK_SLACK: Duration = Duration::from_millis(500);

/// The part of a recording that is played. Positions are times since the recording's beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) from: Duration,
    /// Where the last event is, as far as is known.
    pub(super) end: Option<Duration>,
    pub(super) marks: Vec<Duration>,
}

/// Where the playback stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    pub(super) now: Timestamp,
    pub(super) position: Duration,
    pub(super) speed: Speed,
    pub(super) is_paused: bool,
}

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    GoOn,
    /// Here the playback is to pause.
    Pause,
    /// There is nobody left to see it.
    Gone,
}

/// How many events are shown at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    One,
    /// Those up to this position, as far as they are at hand, and one at least.
    Until(Duration),
}

/// A recording and how it is shown.
pub(super) trait Show {
    /// What there is to play.
    fn part(&self) -> &Part;

    /// Where the next event is; `None` at the end of the part.
    fn next_at(&mut self) -> Result<Option<Duration>, Error>;

    /// Shows the next event, which there is, or several.
    fn advance(&mut self, take: Take, screen: &mut Screen) -> Result<Shown, Error>;

    /// Shows the recording as it is at a position, and goes on from there.
    fn go_to(&mut self, to: Duration, screen: &mut Screen) -> Result<(), Error>;

    /// Shows where the playback stands; called often.
    fn refresh(&mut self, standing: &Standing, screen: &mut Screen);

    /// What is shown last, and puts the terminal back.
    fn farewell(&mut self, standing: &Standing, screen: &Screen) -> String;
}

/// A recording that is being played. When it is dropped, the terminal is put back.
pub(super) struct Player<S: Show> {
    show: S,
    screen: Screen,
    clock: SessionClock,
    playback: PlaybackClock,
    /// Whether the clock counts at all.
    is_max: bool,
    /// Where the next event is, or the end.
    next: Duration,
    /// When keys were looked for.
    looked: Timestamp,
    again: bool,
    stop: Arc<AtomicBool>,
    /// Tells keys from what the terminal answers.
    keys: Typed,
    /// What the user wants and was not done yet.
    wishes: VecDeque<Wish>,
}

/// What to do with the next event.
enum Turn {
    Show(Take),
    /// It was left behind by a jump.
    Jumped,
    Quit,
}

impl<S: Show> Player<S> {
    /// Takes the user's terminal, if there is one.
    pub(super) fn new(show: S, speed: Speed, again: bool) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT]
        {
            // Where it can't be had, the signal ends the program as it always does.
            drop(signal_hook::flag::register(signal, stop.clone()));
        }
        let clock = SessionClock::anchored_now();
        let (is_max, times) = match speed {
            Speed::Max => (true, 1.0),
            Speed::Times(times) => (false, times),
        };
        Ok(Self {
            next: show.part().from,
            screen: Screen::new(clock)?,
            playback: PlaybackClock::start(times, clock.now()),
            looked: clock.now(),
            keys: Typed::default(),
            wishes: VecDeque::new(),
            show,
            clock,
            is_max,
            again,
            stop,
        })
    }

    /// Plays to the end, or until the user has enough.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let from = self.show.part().from;
        if !from.is_zero() {
            self.go_to(from)?;
        }
        loop {
            let mut is_empty = true;
            while let Some(at) = self.show.next_at()? {
                is_empty = false;
                self.next = at;
                let shown = match self.wait()? {
                    Turn::Show(take) => self.show.advance(take, &mut self.screen)?,
                    Turn::Jumped => continue,
                    Turn::Quit => return Ok(()),
                };
                match shown {
                    Shown::GoOn => {}
                    Shown::Pause => self.pause(at),
                    Shown::Gone => return Ok(()),
                }
            }
            self.next = self.show.part().end.unwrap_or(self.next);
            if !self.again || is_empty {
                return Ok(());
            }
            self.go_to(from)?;
        }
    }

    /// Waits until it is time for the next event, and does meanwhile what the user wants.
    fn wait(&mut self) -> Result<Turn, Error> {
        let mut typed = Vec::new();
        loop {
            // Whatever else is wished for, nobody is going to see it.
            if self.stop.load(Ordering::Relaxed) || self.wishes.contains(&Wish::Quit) {
                return Ok(Turn::Quit);
            }
            while let Some(wish) = self.wishes.pop_front() {
                if let Some(turn) = self.grant(wish)? {
                    return Ok(turn);
                }
            }
            let standing = self.standing();
            self.show.refresh(&standing, &mut self.screen);
            let due = self.time_until_next(standing.now);
            // A terminal that is behind is waited for, too.
            let is_due = due.is_some_and(|time| time.is_zero()) && !self.screen.is_behind();
            if is_due && standing.now.since(self.looked) < LOOK_INTERVAL {
                let until = if self.is_max { Duration::MAX } else { self.playback.position(standing.now) };
                return Ok(Turn::Show(Take::Until(until)));
            }
            let time = match due {
                _ if is_due => Duration::ZERO,
                Some(time) if !time.is_zero() => time.min(LOOK_INTERVAL),
                _ => LOOK_INTERVAL,
            };
            typed.clear();
            if !self.screen.wait(time, &mut typed) {
                return Ok(Turn::Quit);
            }
            self.looked = self.clock.now();
            let wishes = &mut self.wishes;
            self.keys.read(&typed, self.looked, |key| wishes.extend(keys::wish(key)));
        }
    }

    /// How long it takes until the next event is due; `None` while paused.
    fn time_until_next(&self, now: Timestamp) -> Option<Duration> {
        let time = self.playback.time_until(self.next, now);
        if self.is_max { time.map(|_| Duration::ZERO) } else { time }
    }

    fn standing(&self) -> Standing {
        let now = self.clock.now();
        let is_paused = self.playback.is_paused();
        let clock = self.playback.position(now);
        Standing {
            now,
            position: if self.is_max && !is_paused { self.next } else { clock.min(self.next) },
            speed: if self.is_max { Speed::Max } else { Speed::Times(self.playback.speed()) },
            is_paused,
        }
    }

    /// Does what the user wants. What comes of it for the next event, if anything does.
    fn grant(&mut self, wish: Wish) -> Result<Option<Turn>, Error> {
        let Standing { now, position, is_paused, .. } = self.standing();
        let part = self.show.part();
        let to = match wish {
            Wish::PauseOrGoOn if is_paused => {
                self.playback.go_on(now);
                None
            }
            Wish::PauseOrGoOn => {
                self.pause(position);
                None
            }
            Wish::Step if is_paused => {
                self.playback.seek(self.next, now);
                return Ok(Some(Turn::Show(Take::One)));
            }
            Wish::Step => None,
            Wish::Speed(times) => {
                self.set_speed(times, position, now);
                None
            }
            Wish::Quit => return Ok(Some(Turn::Quit)),
            Wish::Back(_) | Wish::Forward(_) => Some(self.sum_up(wish, position)),
            Wish::Tenth(tenth) => part.end.map(|end| part.from + end.saturating_sub(part.from) / 10 * tenth),
            Wish::NextMark => part.marks.iter().find(|mark| **mark > position).copied(),
            Wish::PreviousMark => {
                let before = position.saturating_sub(MARK_SLACK);
                Some(part.marks.iter().rfind(|mark| **mark < before).copied().unwrap_or(part.from))
            }
        };
        let Some(to) = to else { return Ok(None) };
        self.go_to(to)?;
        Ok(Some(Turn::Jumped))
    }

    fn pause(&mut self, position: Duration) {
        let now = self.clock.now();
        self.playback.seek(position, now);
        self.playback.pause(now);
    }

    /// Slower than as fast as possible is as it was recorded.
    fn set_speed(&mut self, times: f64, position: Duration, now: Timestamp) {
        if !self.is_max {
            self.playback.set_speed(self.playback.speed() * times, now);
        } else if times < 1.0 {
            self.is_max = false;
            self.playback.set_speed(1.0, now);
            self.playback.seek(position, now);
        }
    }

    /// Where a key that goes back or forward leads, with those that were pressed right after it.
    fn sum_up(&mut self, first: Wish, mut position: Duration) -> Duration {
        let mut wish = Some(first);
        while let Some(next) = wish {
            position = match next {
                Wish::Back(time) => position.saturating_sub(time),
                Wish::Forward(time) => position + time,
                _ => position,
            };
            position = self.within(position);
            let again = |wish: &mut Wish| matches!(wish, Wish::Back(_) | Wish::Forward(_));
            wish = self.wishes.pop_front_if(again);
        }
        position
    }

    /// The nearest position that is in the part.
    fn within(&self, position: Duration) -> Duration {
        let part = self.show.part();
        position.min(part.end.unwrap_or(Duration::MAX)).max(part.from)
    }

    /// Goes to a position at once: the screen shows what it did then.
    fn go_to(&mut self, to: Duration) -> Result<(), Error> {
        let to = self.within(to);
        self.show.go_to(to, &mut self.screen)?;
        self.playback.seek(to, self.clock.now());
        self.next = to;
        Ok(())
    }
}

impl<S: Show> Drop for Player<S> {
    fn drop(&mut self) {
        let standing = self.standing();
        let farewell = self.show.farewell(&standing, &self.screen);
        self.screen.end(&farewell);
    }
}
