//! The patterns of inputs: `*` stands for any characters, `?` for one. Knows nothing of ids and streams.

/// Whether the name is one that the pattern means. Without `*` and `?` that is the name itself.
///
/// Takes time in proportion to both lengths' product at the most.
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut star, mut position, mut resume) = (0, None, 0, 0);
    while position < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some(at);
                at += 1;
                resume = position;
            }
            Some(&wanted) if wanted == '?' || wanted == name[position] => {
                at += 1;
                position += 1;
            }
            _ => match star {
                Some(star) => {
                    at = star + 1;
                    resume += 1;
                    position = resume;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Whether the text has a `*` or `?`.
#[must_use]
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, name) in
            [("game", "game"), ("g*", "game"), ("*", ""), ("*.v?deo", "desk.video"), ("a*b*c", "axbxbc")]
        {
            assert!(glob_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("game", "games"), ("g*x", "game"), ("?", ""), ("", "a"), ("a*b", "acbd")] {
            assert!(!glob_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_more_than_the_product_of_the_lengths() {
        assert!(!glob_matches(&"a*".repeat(2_000), &"a".repeat(1_500)));
    }
}
