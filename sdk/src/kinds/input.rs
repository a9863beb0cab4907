//! The convention of streams of kind `input`: what a person, or a program in their place, does with keyboards, mice and pads.
//!
//! A row is one change: a key or button (`code` and `pressed`), a movement (`dx`, `dy`) or a turn of a wheel (`wheel_x`, `wheel_y`). What the
//! device did not report is null.

use super::convention::convention;

convention! { Input:
    /// Which device it was, by a name that stays the same in a session.
    device "device" (text),
    /// The key or button by its physical position, whatever the layout: `KeyW`, `ArrowUp`, `MouseLeft`. Empty for a movement or a wheel.
    code "code" (text),
    /// Whether the key or button went down.
    pressed "pressed" (bool or null),
    /// Movement to the right, in counts of the device.
    dx "dx" (f64 or null),
    /// Movement downwards, in counts of the device.
    dy "dy" (f64 or null),
    /// Turn of the wheel to the right, in notches.
    wheel_x "wheel_x" (f64 or null),
    /// Turn of the wheel away from the user, in notches.
    wheel_y "wheel_y" (f64 or null),
    /// Whether a program made it, and no person.
    injected "injected" (bool),
}
