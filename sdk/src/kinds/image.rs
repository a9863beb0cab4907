//! The convention of streams of kind `image`: one picture a row.

use super::convention::convention;

convention! { Image:
    /// Points in a row.
    width "width" (u32),
    /// Rows of points.
    height "height" (u32),
    /// How the pixels are to be read: a [`PixelFormat`].
    format "format" (text),
    /// The picture. The column may be of fixed width, too.
    pixels "pixels" (bytes),
}

/// How the bytes of a picture are to be read. Points stand row by row, the top row first, with nothing between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Blue, green, red, opacity; a byte each.
    Bgra8,
    /// Red, green, blue; a byte each.
    Rgb8,
    /// Brightness or distance, 16 bits, little-endian.
    Gray16,
    /// A JPEG file.
    Jpeg,
}

impl PixelFormat {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Bgra8, Self::Rgb8, Self::Gray16, Self::Jpeg];

    /// The format of that name, if it is one.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What stands in the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bgra8 => "bgra8",
            Self::Rgb8 => "rgb8",
            Self::Gray16 => "gray16",
            Self::Jpeg => "jpeg",
        }
    }

    /// Bytes of a point; `None` where the picture is compressed.
    #[must_use]
    pub const fn bytes_per_point(self) -> Option<usize> {
        match self {
            Self::Bgra8 => Some(4),
            Self::Rgb8 => Some(3),
            Self::Gray16 => Some(2),
            Self::Jpeg => None,
        }
    }
}
