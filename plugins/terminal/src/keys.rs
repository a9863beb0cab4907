//! Keys as the user writes them, and the byte that a terminal sends for them.

/// The byte of a key: `ctrl-\`, `C-\`, `^\`, or a single character. `none` and nothing are no key at all.
pub(crate) fn parse(text: &str) -> Result<Option<u8>, String> {
    let control = ["ctrl-", "Ctrl-", "C-", "^"].into_iter().find_map(|lead| text.strip_prefix(lead));
    match (text, control.map(str::as_bytes)) {
        ("" | "none", _) => Ok(None),
        (_, _) if text.len() == 1 && text.is_ascii() => Ok(Some(text.as_bytes()[0])),
        // A terminal sends the letter's code without its two highest bits.
        (_, Some([letter])) if (b'@'..=b'_').contains(&letter.to_ascii_uppercase()) => {
            Ok(Some(letter.to_ascii_uppercase() & 0x1f))
        }
        _ => Err(format!("\"{text}\" is not a key; expected one like \"ctrl-\\\", \"^p\" or \"none\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_spelling() {
        for (text, byte) in [
            ("ctrl-\\", Some(0x1c)),
            ("C-\\", Some(0x1c)),
            ("^\\", Some(0x1c)),
            ("ctrl-p", Some(0x10)),
            ("Ctrl-P", Some(0x10)),
            ("^]", Some(0x1d)),
            ("^", Some(b'^')),
            ("p", Some(b'p')),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(parse(text), Ok(byte), "{text}");
        }
        for text in ["ctrl-", "ctrl-é", "é", "ctrl-pp", "F12", "^1"] {
            assert!(parse(text).unwrap_err().contains(text), "{text}");
        }
    }
}
