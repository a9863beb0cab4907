//! The game's objects in memory. Their layouts are fixed, so that a pipeline can name offsets: the world points to a player, the
//! player to its stats, and the stats hold the values; `SIGNPOST` is the pattern that leads to the world.
#![expect(clippy::cast_possible_wrap, reason = "bits are stored, not numbers")]

use std::mem::offset_of;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence,
};

use crate::values::{Values, extra};

/// What a recorder searches for: `48 8B 05 ?? ?? ?? ??` and "TAPEDECK".
pub(crate) const PATTERN: &str = "48 8B 05 ?? ?? ?? ?? 54 41 50 45 44 45 43 4B";

/// Like an instruction that loads the world's pointer: three bytes, the distance to it, and a mark. The first byte is not there until
/// [`publish`]: nobody finds it before the world is whole.
static SIGNPOST: [AtomicU8; 16] = blank_signpost();
/// A second match, for tests; leads nowhere.
static DECOY: [AtomicU8; 16] = blank_signpost();
/// The start of every chain.
pub(crate) static WORLD: AtomicPtr<World> = AtomicPtr::new(std::ptr::null_mut());

const fn blank_signpost() -> [AtomicU8; 16] {
    let bytes = *b"\0\x8B\x05\0\0\0\0TAPEDECK\0";
    let mut post = [const { AtomicU8::new(0) }; 16];
    let mut index = 0;
    while index < 16 {
        post[index] = AtomicU8::new(bytes[index]);
        index += 1;
    }
    post
}

#[repr(C)]
pub(crate) struct World {
    /// 0x00
    pub(crate) frame: AtomicU64,
    reserved: [u64; 2],
    /// 0x18
    pub(crate) player: AtomicPtr<Player>,
    /// 0x20: the first of the extra variables.
    pub(crate) extras: AtomicPtr<AtomicU64>,
}

#[repr(C)]
pub(crate) struct Player {
    /// 0x00
    number: u64,
    reserved: u64,
    /// 0x10
    pub(crate) stats: AtomicPtr<Stats>,
}

/// The values. `frame_begin` is written first and `frame_end` last, while a reader takes them in the other order: a row in which
/// the two are equal is whole.
#[repr(C, align(128))]
pub(crate) struct Stats {
    /// 0x00
    pub(crate) frame_end: AtomicU64,
    /// 0x08
    health: AtomicI32,
    /// 0x0C: f32
    mana: AtomicU32,
    /// 0x10: three f32
    position: [AtomicU32; 3],
    reserved: u32,
    /// 0x20: f64
    speed: AtomicU64,
    /// 0x28
    score: AtomicU64,
    /// 0x30
    combo: AtomicI64,
    /// 0x38
    alive: AtomicU8,
    /// 0x39
    flags: AtomicU8,
    /// 0x3A
    level: AtomicU16,
    /// 0x3C
    temperature: AtomicI8,
    reserved_byte: u8,
    /// 0x3E
    depth: AtomicI16,
    /// 0x40
    ticks: AtomicU32,
    reserved_end: u32,
    /// 0x48
    inventory: [AtomicU8; 16],
    /// 0x58
    name: [AtomicU8; 16],
    /// 0x68
    pub(crate) frame_begin: AtomicU64,
}

/// Name, offset in the stats, type and length of each variable there.
pub(crate) const VARIABLES: &[(&str, usize, &str, usize)] = &[
    ("frame_end", offset_of!(Stats, frame_end), "u64", 8),
    ("health", offset_of!(Stats, health), "int", 4),
    ("mana", offset_of!(Stats, mana), "float", 4),
    ("position", offset_of!(Stats, position), "array", 12),
    ("x", offset_of!(Stats, position), "f32", 4),
    ("y", offset_of!(Stats, position) + 4, "f32", 4),
    ("z", offset_of!(Stats, position) + 8, "f32", 4),
    ("speed", offset_of!(Stats, speed), "f64", 8),
    ("score", offset_of!(Stats, score), "u64", 8),
    ("combo", offset_of!(Stats, combo), "i64", 8),
    ("alive", offset_of!(Stats, alive), "bool", 1),
    ("flags", offset_of!(Stats, flags), "binary", 1),
    ("level", offset_of!(Stats, level), "u16", 2),
    ("temperature", offset_of!(Stats, temperature), "i8", 1),
    ("depth", offset_of!(Stats, depth), "i16", 2),
    ("ticks", offset_of!(Stats, ticks), "u32", 4),
    ("inventory", offset_of!(Stats, inventory), "array", 16),
    ("name", offset_of!(Stats, name), "string", 16),
    ("frame_begin", offset_of!(Stats, frame_begin), "u64", 8),
];

/// Offsets on the way from the world to a variable of the stats.
pub(crate) const PATH: [usize; 2] = [offset_of!(World, player), offset_of!(Player, stats)];
/// Where the world points to the extra variables.
pub(crate) const EXTRAS: usize = offset_of!(World, extras);

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn pointer<T>(target: &'static T) -> *mut T {
    std::ptr::from_ref(target).cast_mut()
}

/// The game: two players, of which the world points to one, and the extra variables.
pub(crate) struct Game {
    pub(crate) world: &'static World,
    pub(crate) players: [(&'static Player, &'static Stats); 2],
    extras: &'static [AtomicU64],
    stride_words: usize,
}

impl Game {
    /// Makes all objects. `extras` variables lie `stride` bytes apart.
    pub(crate) fn new(extras: usize, stride: usize) -> Self {
        let stride_words = (stride / 8).max(1);
        let words: Vec<AtomicU64> =
            std::iter::repeat_with(AtomicU64::default).take((extras * stride_words).max(1)).collect();
        let words: &'static [AtomicU64] = words.leak();
        let players = [0, 1].map(|number| {
            let stats: &'static Stats = leak(blank_stats());
            let player: &'static Player =
                leak(Player { number, reserved: 0, stats: AtomicPtr::new(pointer(stats)) });
            (player, stats)
        });
        let world = leak(World {
            frame: AtomicU64::new(0),
            reserved: [0; 2],
            player: AtomicPtr::new(pointer(players[0].0)),
            extras: AtomicPtr::new(pointer(&words[0])),
        });
        Self { world, players, extras: words, stride_words }
    }

    /// Writes a frame's values into the stats of a player.
    pub(crate) fn update(&self, values: &Values, player: usize) {
        self.world.frame.store(values.frame, Relaxed);
        self.players[player].1.store(values);
        for (index, word) in (0..).zip(self.extras.iter().step_by(self.stride_words)) {
            word.store(extra(values.frame, index), Relaxed);
        }
    }

    /// Lets the world point to a player, or to none.
    pub(crate) fn show(&self, player: Option<usize>) {
        let player = player.map_or(std::ptr::null_mut(), |index| pointer(self.players[index].0));
        self.world.player.store(player, Release);
    }

    /// Sets up the signpost, as the last thing before the first frame.
    pub(crate) fn publish(&self, decoy: bool) {
        WORLD.store(pointer(self.world), Release);
        let posts = [Some(&SIGNPOST), decoy.then_some(&DECOY)];
        for post in posts.into_iter().flatten() {
            let distance = address(&WORLD).wrapping_sub(address(post) + 7) as isize;
            let distance = i32::try_from(distance).expect("statics of one program are near each other");
            for (byte, value) in post[3..].iter().zip(distance.to_le_bytes()) {
                byte.store(value, Relaxed);
            }
            post[0].store(0x48, Release);
        }
    }
}

/// The address of something, as a number.
pub(crate) fn address<T>(thing: &T) -> usize {
    std::ptr::from_ref(thing) as usize
}

impl Stats {
    fn store(&self, values: &Values) {
        self.frame_begin.store(values.frame, Relaxed);
        fence(Release);
        self.health.store(values.health, Relaxed);
        self.mana.store(values.mana.to_bits(), Relaxed);
        for (word, value) in self.position.iter().zip(values.position) {
            word.store(value.to_bits(), Relaxed);
        }
        self.speed.store(values.speed.to_bits(), Relaxed);
        self.score.store(values.score, Relaxed);
        self.combo.store(values.combo, Relaxed);
        self.alive.store(u8::from(values.alive), Relaxed);
        self.flags.store(values.flags, Relaxed);
        self.level.store(values.level, Relaxed);
        self.temperature.store(values.temperature, Relaxed);
        self.depth.store(values.depth, Relaxed);
        self.ticks.store(values.ticks, Relaxed);
        for (byte, value) in self.inventory.iter().zip(values.inventory) {
            byte.store(value, Relaxed);
        }
        for (byte, value) in self.name.iter().zip(values.name) {
            byte.store(value, Relaxed);
        }
        self.frame_end.store(values.frame, Release);
    }
}

fn blank_stats() -> Stats {
    let bytes = || [const { AtomicU8::new(0) }; 16];
    Stats {
        frame_end: AtomicU64::new(0),
        health: AtomicI32::new(0),
        mana: AtomicU32::new(0),
        position: [const { AtomicU32::new(0) }; 3],
        reserved: 0,
        speed: AtomicU64::new(0),
        score: AtomicU64::new(0),
        combo: AtomicI64::new(0),
        alive: AtomicU8::new(0),
        flags: AtomicU8::new(0),
        level: AtomicU16::new(0),
        temperature: AtomicI8::new(0),
        reserved_byte: 0,
        depth: AtomicI16::new(0),
        ticks: AtomicU32::new(0),
        reserved_end: 0,
        inventory: bytes(),
        name: bytes(),
        frame_begin: AtomicU64::new(0),
    }
}
