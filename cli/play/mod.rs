//! `play`: shows a terminal recording with its original timing. What the clock does is the engine's; what a file looks like, its format's.

mod keys;
mod screen;
mod tape;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tapedeck_engine::clock::SessionClock;
use tapedeck_engine::formats::format_of;
use tapedeck_engine::playback::PlaybackClock;
use tapedeck_sdk::Error;
use tapedeck_sdk::terminal::Size;

use crate::arguments::PlayArguments;
use crate::builtins;
use crate::output::print_error;

use keys::Wish;
use screen::{Followed, Screen};
use tape::{Event, Idle, Reel, Tape};

pub(crate) use keys::HELP;

/// How long one wait is at most: signals are looked for in between.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Two marks closer than this are one to the key that goes back.
const MARK_SLACK: Duration = Duration::from_millis(500);

/// `tapedeck play`.
pub(crate) fn play(arguments: &PlayArguments) -> u8 {
    match show(arguments) {
        Ok(()) => 0,
        Err(error) => {
            print_error(&error, false);
            2
        }
    }
}

fn show(arguments: &PlayArguments) -> Result<(), Error> {
    let registry = builtins::registry();
    let format = format_of(&registry, &arguments.path, None)?;
    let idle = arguments.idle_limit.map_or(Idle::AsRecorded, |limit| limit.0);
    let tape = Tape::open(&format, &arguments.path, arguments.connection.as_deref(), idle)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT] {
        // Where it can't be had, the signal ends the program as it always does.
        drop(signal_hook::flag::register(signal, stop.clone()));
    }
    let clock = SessionClock::anchored_now();
    let mut player = Player {
        reel: tape.rewind()?,
        playback: PlaybackClock::start(arguments.speed, clock.now()),
        followed: Followed::new(),
        screen: Screen::new(clock)?,
        pauses_at_marks: arguments.pause_at_marks,
        again: arguments.r#loop,
        resizes: arguments.resize,
        tape,
        clock,
        stop,
        wishes: VecDeque::new(),
    };
    let outcome = player.run();
    player.screen.end(&player.followed);
    outcome
}

/// A recording that is being played.
struct Player {
    tape: Tape,
    reel: Reel,
    clock: SessionClock,
    playback: PlaybackClock,
    followed: Followed,
    screen: Screen,
    pauses_at_marks: bool,
    again: bool,
    resizes: bool,
    stop: Arc<AtomicBool>,
    /// What the user wants and was not done yet.
    wishes: VecDeque<Wish>,
}

/// What to do with the event in hand.
enum Turn {
    Show,
    /// It was left behind by a jump.
    Jumped,
    Quit,
}

impl Player {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            while let Some(event) = self.reel.next()? {
                match self.wait_for(&event)? {
                    Turn::Show => {}
                    Turn::Jumped => continue,
                    Turn::Quit => return Ok(()),
                }
                if !self.take(&event) {
                    return Ok(());
                }
            }
            if !self.again {
                return Ok(());
            }
            self.rewind()?;
            self.go_on_to(Duration::ZERO)?;
        }
    }

    /// Waits until it is time for an event, and does meanwhile what the user wants.
    fn wait_for(&mut self, event: &Event) -> Result<Turn, Error> {
        let mut typed = Vec::new();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Turn::Quit);
            }
            if self.wishes.contains(&Wish::Quit) {
                // Whatever stands before it, nobody is going to see it.
                return Ok(Turn::Quit);
            }
            while let Some(wish) = self.wishes.pop_front() {
                if let Some(turn) = self.grant(wish, event)? {
                    return Ok(turn);
                }
            }
            let due = self.playback.time_until(event.at, self.clock.now());
            if due.is_some_and(|time| time.is_zero()) && !self.screen.is_behind() {
                return Ok(Turn::Show);
            }
            // A terminal that is behind is waited for, too.
            let time = due.filter(|time| !time.is_zero()).map_or(WAIT_MAX, |time| time.min(WAIT_MAX));
            typed.clear();
            if !self.screen.wait(time, &mut typed) {
                return Ok(Turn::Quit);
            }
            self.wishes.extend(keys::wishes(&typed));
        }
    }

    /// Does what the user wants. What comes of it for the event in hand, if anything does.
    fn grant(&mut self, wish: Wish, event: &Event) -> Result<Option<Turn>, Error> {
        let now = self.clock.now();
        let position = self.playback.position(now).min(event.at);
        let to = match wish {
            Wish::PauseOrGoOn if self.playback.is_paused() => {
                self.playback.go_on(now);
                return Ok(None);
            }
            Wish::PauseOrGoOn => {
                self.playback.seek(position, now);
                self.playback.pause(now);
                return Ok(None);
            }
            Wish::Step if self.playback.is_paused() => {
                self.playback.seek(event.at, now);
                return Ok(Some(Turn::Show));
            }
            Wish::Step => return Ok(None),
            Wish::Speed(times) => {
                self.playback.set_speed(self.playback.speed() * times, now);
                return Ok(None);
            }
            Wish::Quit => return Ok(Some(Turn::Quit)),
            Wish::Back(_) | Wish::Forward(_) => Some(self.sum_up(wish, position)),
            Wish::Tenth(tenth) => Some(self.tape.end / 10 * tenth),
            Wish::NextMark => self.tape.marks.iter().find(|mark| **mark > position).copied(),
            Wish::PreviousMark => {
                let before = position.saturating_sub(MARK_SLACK);
                Some(self.tape.marks.iter().rfind(|mark| **mark < before).copied().unwrap_or_default())
            }
        };
        let Some(to) = to else { return Ok(None) };
        if to < position {
            self.rewind()?;
        } else {
            self.reel.put_back(event.clone());
        }
        self.go_on_to(to.min(self.tape.end))?;
        Ok(Some(Turn::Jumped))
    }

    /// Where a key that goes back or forward leads, with those that were pressed right after it.
    fn sum_up(&mut self, first: Wish, mut position: Duration) -> Duration {
        let mut wish = Some(first);
        while let Some(next) = wish {
            position = match next {
                Wish::Back(time) => position.saturating_sub(time),
                Wish::Forward(time) => (position + time).min(self.tape.end),
                _ => position,
            };
            let again = |wish: &mut Wish| matches!(wish, Wish::Back(_) | Wish::Forward(_));
            wish = self.wishes.pop_front_if(again);
        }
        position
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.reel = self.tape.rewind()?;
        self.followed = Followed::new();
        Ok(())
    }

    /// Goes on to a position at once: the screen shows what it did then.
    fn go_on_to(&mut self, to: Duration) -> Result<(), Error> {
        while let Some(event) = self.reel.next()? {
            if event.at > to {
                self.reel.put_back(event);
                break;
            }
            self.follow(&event);
        }
        self.playback.seek(to, self.clock.now());
        let dump = self.followed.dump();
        self.screen.show(dump.as_bytes());
        Ok(())
    }

    fn follow(&mut self, event: &Event) {
        match event.code.as_str() {
            "o" => self.followed.show(&event.data),
            "r" => Size::parse(&event.data).into_iter().for_each(|size| self.followed.resize(size)),
            _ => {}
        }
    }

    /// Shows an event. False when there is nobody left to see it.
    fn take(&mut self, event: &Event) -> bool {
        self.follow(event);
        match event.code.as_str() {
            "o" => self.screen.show(&event.data),
            "r" if self.resizes => match Size::parse(&event.data) {
                Some(size) => self.screen.show(format!("\x1b[8;{};{}t", size.rows, size.columns).as_bytes()),
                None => true,
            },
            "m" if self.pauses_at_marks => {
                self.playback.seek(event.at, self.clock.now());
                self.playback.pause(self.clock.now());
                true
            }
            _ => true,
        }
    }
}

/// The argument of `--idle-limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleArgument(Idle);

impl std::str::FromStr for IdleArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Idle::Whole));
        }
        let tapedeck_sdk::options::DurationText(limit) = text.parse()?;
        Ok(Self(Idle::At(limit)))
    }
}
