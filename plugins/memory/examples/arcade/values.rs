//! What the game's variables are at each frame: every value is a pure function of the frame number, so that a recorded row can
//! be checked by itself. Knows neither memory nor time. The tests use this file too.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "the values wrap around by design"
)]

/// How extra variable `index` differs from the next one, and each frame from the next.
pub(crate) const EXTRA_STEP: u64 = 1_000_003;

/// All values of one frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    pub(crate) frame: u64,
    pub(crate) health: i32,
    pub(crate) mana: f32,
    pub(crate) position: [f32; 3],
    pub(crate) speed: f64,
    pub(crate) score: u64,
    pub(crate) combo: i64,
    pub(crate) alive: bool,
    pub(crate) flags: u8,
    pub(crate) level: u16,
    pub(crate) temperature: i8,
    pub(crate) ticks: u32,
    pub(crate) depth: i16,
    pub(crate) inventory: [u8; 16],
    pub(crate) name: [u8; 16],
}

impl Values {
    /// The values at a frame.
    pub(crate) fn at(frame: u64) -> Self {
        let mut name = [0; 16];
        let text = format!("player-{}", frame % 1000);
        name[..text.len()].copy_from_slice(text.as_bytes());
        let mut inventory = [0; 16];
        for (slot, item) in (0..).zip(&mut inventory) {
            *item = (frame + slot) as u8;
        }
        Self {
            frame,
            health: 100 - (frame % 201) as i32,
            mana: (frame % 1000) as f32 * 0.25,
            position: [(frame % 4096) as f32 * 0.5, (frame % 2048) as f32 * -0.25, (frame % 360) as f32],
            speed: frame as f64 * 0.125,
            score: frame * 10,
            combo: -(frame as i64),
            alive: !frame.is_multiple_of(7),
            flags: frame as u8,
            level: (frame / 60) as u16,
            temperature: (frame % 256) as u8 as i8,
            ticks: frame as u32,
            depth: (frame % 65_536) as u16 as i16,
            inventory,
            name,
        }
    }

    /// The name as text.
    pub(crate) fn name_text(&self) -> &str {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        std::str::from_utf8(&self.name[..end]).expect("the names are ASCII")
    }
}

/// Extra variable `index` at a frame.
pub(crate) fn extra(frame: u64, index: u64) -> u64 {
    frame.wrapping_mul(EXTRA_STEP).wrapping_add(index)
}
