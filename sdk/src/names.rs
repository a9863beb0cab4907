//! Names that users write: patterns that mean several, and the nearest one to a mistyped one. Knows no names of its own.

/// Whether a name ends in an extension, which may have several parts: `tar.gz`.
#[must_use]
pub fn has_extension(path: &std::path::Path, extension: &str) -> bool {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
    stem.is_some_and(|stem| !stem.is_empty())
}

/// Below this likeness (Jaro-Winkler, 0 to 1) a name is no suggestion.
const LIKENESS_MIN: f64 = 0.8;

/// How many names a list in a hint has at most.
const LISTED_MAX: usize = 12;

/// The name that is most like `wrong`, if one is like it at all.
#[must_use]
pub fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| (likeness(&wrong, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}

fn likeness(wrong: &str, name: &str) -> f64 {
    if wrong == name {
        return 1.0;
    }
    strsim::jaro_winkler(wrong, name)
}

/// A hint: the nearest name, or the list of what there is.
#[must_use]
pub fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>, what: &str) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    match closest(wrong, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => format!("there are no {what}"),
        None => format!("{what}: {}", list(names)),
    }
}

/// A hint where the names were listed before: the nearest one.
#[must_use]
pub fn choose<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    match closest(wrong, names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write one of these".to_owned(),
    }
}

/// Names as a list in a sentence, cut after a dozen.
#[must_use]
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown =
        names.iter().take(LISTED_MAX).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

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
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name() {
        let names = ["memory", "synthetic", "null"];
        for (wrong, expected) in [
            ("memroy", Some("memory")),
            ("Memory", Some("memory")),
            ("synth", Some("synthetic")),
            ("qqq", None),
        ] {
            assert_eq!(closest(wrong, names), expected, "{wrong}");
        }
    }

    #[test]
    fn without_a_near_name_the_hint_lists_what_there_is() {
        assert_eq!(did_you_mean("qqq", ["b", "a"], "sources"), "sources: \"a\", \"b\"");
        assert_eq!(did_you_mean("qqq", [], "sources"), "there are no sources");
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, name) in [
            ("game", "game"),
            ("g*", "game"),
            ("*", ""),
            ("*.v?deo", "desk.video"),
            ("a*b*c", "axbxbc"),
            ("a*", "a"),
            ("?b?", "åbc"),
            ("**a", "bba"),
        ] {
            assert!(glob_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("game", "games"),
            ("g*x", "game"),
            ("?", ""),
            ("", "a"),
            ("a", ""),
            ("a*b", "acbd"),
            ("plain", "plains"),
            ("a?", "a"),
        ] {
            assert!(!glob_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_more_than_the_product_of_the_lengths() {
        assert!(!glob_matches(&"a*".repeat(2_000), &"a".repeat(1_500)));
    }
}
