//! A small game to record: a loop that changes its variables at each frame, and keeps a log of what they truly were and when. Knows
//! nothing of Tapedeck.
//!
//!     arcade [--hz 60] [--seconds 0] [--attributes 0] [--stride 4160] [--truth FILE] [--decoy]
//!            [--start-delay SECONDS] [--die-after SECONDS] [--null-pointer-after FRAMES] [--null-frames 30] [--swap-every FRAMES]
//!
//! At the start it prints one line of JSON: its process number, its pattern, and the address and offsets of each variable.
//! The truth log is a CSV file, one line a frame; it is written out each second and at the end (also at SIGTERM).
#![expect(clippy::print_stderr, reason = "a program for the command line")]
#![expect(
    clippy::disallowed_methods,
    reason = "the game has its own clock: it is what the recording is compared with"
)]

mod values;
mod world;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use values::Values;
use world::{EXTRAS, Game, PATH, PATTERN, VARIABLES, WORLD, address};

/// What the command line says.
struct Settings {
    hz: f64,
    seconds: f64,
    attributes: usize,
    stride: usize,
    truth: Option<String>,
    decoy: bool,
    start_delay: f64,
    die_after: Option<f64>,
    null_after: Option<u64>,
    null_frames: u64,
    swap_every: Option<u64>,
}

impl Settings {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            hz: 60.0,
            seconds: 0.0,
            attributes: 0,
            stride: 4160,
            truth: None,
            decoy: false,
            start_delay: 0.0,
            die_after: None,
            null_after: None,
            null_frames: 30,
            swap_every: None,
        };
        while let Some(key) = words.next() {
            if key == "--decoy" {
                settings.decoy = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{key} needs a value"))?;
            match key.as_str() {
                "--hz" => settings.hz = number(&key, &value)?,
                "--seconds" => settings.seconds = number(&key, &value)?,
                "--attributes" => settings.attributes = number(&key, &value)?,
                "--stride" => settings.stride = number(&key, &value)?,
                "--truth" => settings.truth = Some(value),
                "--start-delay" => settings.start_delay = number(&key, &value)?,
                "--die-after" => settings.die_after = Some(number(&key, &value)?),
                "--null-pointer-after" => settings.null_after = Some(number(&key, &value)?),
                "--null-frames" => settings.null_frames = number(&key, &value)?,
                "--swap-every" => settings.swap_every = Some(number(&key, &value)?),
                _ => return Err(format!("unknown option {key}")),
            }
        }
        if settings.hz > 0.0 && settings.hz <= 1e6 {
            Ok(settings)
        } else {
            Err("--hz is out of range".to_owned())
        }
    }

    /// Whether the chain of pointers is broken at this frame.
    fn is_null(&self, frame: u64) -> bool {
        self.null_after.is_some_and(|after| (after..after + self.null_frames).contains(&frame))
    }

    /// Which of the two players the world points to at this frame.
    fn player(&self, frame: u64) -> usize {
        self.swap_every.map_or(0, |every| usize::from(frame / every.max(1) % 2 == 1))
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_unreadable| format!("{key}: \"{value}\" is no number"))
}

/// The log of what was true and when.
struct Truth {
    file: BufWriter<File>,
    flushed: Instant,
}

impl Truth {
    fn create(path: &str) -> std::io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        writeln!(
            file,
            "frame,before_ns,after_ns,reachable,health,mana,x,y,z,speed,score,combo,alive,flags,level,temperature,depth,ticks,inventory,name"
        )?;
        Ok(Self { file, flushed: Instant::now() })
    }

    fn write(&mut self, values: &Values, before: u128, after: u128, reachable: bool) -> std::io::Result<()> {
        let [x, y, z] = values.position;
        let hex = values.inventory.iter().fold(String::with_capacity(32), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let Values {
            frame,
            health,
            mana,
            speed,
            score,
            combo,
            alive,
            flags,
            level,
            temperature,
            depth,
            ticks,
            ..
        } = values;
        let (reachable, alive, name) = (u8::from(reachable), u8::from(*alive), values.name_text());
        writeln!(
            self.file,
            "{frame},{before},{after},{reachable},{health},{mana},{x},{y},{z},{speed},{score},{combo},{alive},{flags},{level},\
             {temperature},{depth},{ticks},{hex},{name}"
        )?;
        if self.flushed.elapsed() >= Duration::from_secs(1) {
            self.file.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
    }
}

/// What a recorder or a test needs to know to find everything.
fn describe(game: &Game, settings: &Settings) -> String {
    let stats = address(game.players[0].1);
    let variables = VARIABLES.iter().map(|(name, offset, value_type, length)| {
        let [player, in_player] = PATH;
        format!(
            "\"{name}\":{{\"address\":{},\"offsets\":[{player},{in_player},{offset}],\"type\":\"{value_type}\",\"length\":{length}}}",
            stats + offset
        )
    });
    let extras = game.world.extras.load(Ordering::Relaxed) as usize;
    format!(
        "{{\"pid\":{},\"pattern\":\"{PATTERN}\",\"world_pointer\":{},\"world\":{},\"extras\":{{\"count\":{},\"stride\":{},\"address\":{extras},\
         \"offset\":{EXTRAS}}},\"variables\":{{{}}}}}",
        std::process::id(),
        address(&WORLD),
        address(game.world),
        settings.attributes,
        settings.stride,
        variables.collect::<Vec<_>>().join(",")
    )
}

/// Nanoseconds since 1970.
fn wall_clock() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

fn play(settings: &Settings) -> std::io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let mut truth = settings.truth.as_deref().map(Truth::create).transpose()?;
    std::thread::sleep(Duration::from_secs_f64(settings.start_delay));
    let game = Game::new(settings.attributes, settings.stride);
    let period = Duration::from_secs_f64(1.0 / settings.hz);
    let end = if settings.seconds > 0.0 { Some(Duration::from_secs_f64(settings.seconds)) } else { None };
    let begin = Instant::now();
    let mut next = begin;
    let mut frame = 0_u64;
    while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| begin.elapsed() < end) {
        let values = Values::at(frame);
        let player = settings.player(frame);
        let reachable = !settings.is_null(frame);
        let before = wall_clock();
        game.update(&values, player);
        game.show(reachable.then_some(player));
        let after = wall_clock();
        if frame == 0 {
            game.publish(settings.decoy);
            // Nobody has to read it.
            let _ = writeln!(std::io::stdout(), "{}", describe(&game, settings));
        }
        if let Some(truth) = &mut truth {
            truth.write(&values, before, after, reachable)?;
        }
        if settings.die_after.is_some_and(|seconds| begin.elapsed().as_secs_f64() >= seconds) {
            truth.iter_mut().try_for_each(|truth| truth.file.flush())?;
            std::process::exit(3);
        }
        frame += 1;
        next += period;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    truth.map_or(Ok(()), |mut truth| truth.file.flush())
}

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("arcade: {message}");
            return ExitCode::from(2);
        }
    };
    match play(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arcade: {error}");
            ExitCode::FAILURE
        }
    }
}
