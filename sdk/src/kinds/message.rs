//! The convention of streams of kind `message`: bytes that nobody looks into, from a broker or a robot's bus.

use super::convention::convention;

convention! { Message:
    /// Where the message was sent to: a topic, a channel, a key.
    topic "topic" (text),
    /// How the bytes are to be read: `json`, `lcm`, `pickle`, `cdr`, `protobuf`.
    encoding "encoding" (text),
    /// The message as it came.
    data "data" (bytes),
}
