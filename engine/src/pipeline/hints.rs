//! "Did you mean" for a whole text: a name is compared with every other one, so there is a limit on how many are compared in all.

use super::schema::Steps;
use tapedeck_sdk::names;

/// How many names are compared, over all hints of one text.
const COMPARED_MAX: usize = 200_000;

/// A name longer than this is suggested for no other, and no other for it. Comparing takes the product of the lengths.
const NAME_BYTES_MAX: usize = 256;

/// The comparisons that are left.
pub(super) struct Hints {
    left: Steps,
}

impl Hints {
    pub(super) fn new() -> Self {
        Self { left: Steps::new(COMPARED_MAX) }
    }

    /// The names that can be compared. None when too many were compared before.
    fn affordable<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<Vec<&'n str>> {
        if !self.left.take(1) {
            return None;
        }
        let names: Vec<&str> = names.into_iter().filter(|name| name.len() <= NAME_BYTES_MAX).collect();
        self.left.take(names.len()).then_some(names)
    }

    /// The name that is most like `wrong`, if one is like it at all.
    pub(super) fn closest<'n>(
        &self,
        wrong: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        if wrong.len() > NAME_BYTES_MAX {
            return None;
        }
        names::closest(wrong, self.affordable(names)?)
    }

    /// A hint: the nearest name, or the list of what there is.
    pub(super) fn did_you_mean<'n>(
        &self,
        wrong: &str,
        names: impl IntoIterator<Item = &'n str>,
        what: &str,
    ) -> String {
        let wrong = if wrong.len() > NAME_BYTES_MAX { "" } else { wrong };
        match self.affordable(names) {
            Some(names) => names::did_you_mean(wrong, names, what),
            None => format!("write one of the {what}"),
        }
    }
}
