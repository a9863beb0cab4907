//! File names from what strangers call their connections. Knows nothing of folders.

use std::collections::HashMap;

/// The most bytes of a file name, its extension included.
const NAME_BYTES_MAX: usize = 128;

/// What is kept for the extension (`.cast`, `.json`) and a number.
const SUFFIX_BYTES: usize = 16;

/// A name that is one file's in any folder, made of what a stranger may have called a connection: letters, digits and a few signs stay,
/// everything else is `_`. At most 112 bytes.
#[must_use]
pub fn safe_name(connection: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.@:+=".contains(letter);
    let letter = |(place, letter): (usize, char)| {
        // A leading dot hides a file, a leading dash makes an option of it.
        if plain(letter) && !(place == 0 && matches!(letter, '.' | '-')) { letter } else { '_' }
    };
    let mut name: String = connection.chars().enumerate().map(letter).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX - SUFFIX_BYTES));
    if name.is_empty() { "connection".to_owned() } else { name }
}

/// The names that were given away. No two are the same, also where a disk does not tell capital letters from small ones.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names in small letters, with the number that the next one of that name may get.
    taken: HashMap<String, u64>,
}

impl Names {
    /// A name that nobody has: the wanted one, or that with a number.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let key = wanted.to_lowercase();
        let Some(&first) = self.taken.get(&key) else {
            self.taken.insert(key, 2);
            return wanted.to_owned();
        };
        let mut number = first;
        loop {
            let name = format!("{wanted}-{number}");
            number += 1;
            if let std::collections::hash_map::Entry::Vacant(entry) = self.taken.entry(name.to_lowercase()) {
                entry.insert(2);
                self.taken.insert(key, number);
                return name;
            }
        }
    }
}
