//! The size of a terminal as plugins' options say it. Knows no plugin.

use tapedeck_sdk::Error;
use tapedeck_sdk::kinds::terminal::Size;

/// The size that the options `width` and `height` say.
///
/// # Errors
/// One of them is 0.
pub fn size_of_options(width: u16, height: u16) -> Result<Size, Error> {
    for (name, cells) in [("width", width), ("height", height)] {
        if cells == 0 {
            return Err(Error::option([name], format!("a terminal with a {name} of 0 shows nothing")));
        }
    }
    Ok(Size { columns: width, rows: height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_a_row_is_refused_with_its_option() {
        assert_eq!(size_of_options(80, 24).unwrap(), Size { columns: 80, rows: 24 });
        assert_eq!(size_of_options(80, 0).unwrap_err().option, ["height"]);
        assert_eq!(size_of_options(0, 24).unwrap_err().option, ["width"]);
    }
}
