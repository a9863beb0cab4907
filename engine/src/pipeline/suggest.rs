//! "Did you mean": the nearest of some names. Knows no names of its own.

/// Below this likeness (Jaro-Winkler, 0 to 1) a name is no suggestion.
const LIKENESS_MIN: f64 = 0.8;

/// How many names a list in a hint has at most.
const LISTED_MAX: usize = 12;

/// The name that is most like `wrong`, if one is like it at all.
pub(crate) fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
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
pub(crate) fn choose<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    match closest(wrong, names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write one of these".to_owned(),
    }
}

/// Names as a list in a sentence, cut after a dozen.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown =
        names.iter().take(LISTED_MAX).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
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
}
