//! What the stages of a session have to say, numbered: each watcher asks for what came since it asked last.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::report::Remark;

/// The most remarks that are kept; beyond them the oldest go.
const REMARKS_MAX: usize = 1024;

/// The remarks of a session.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The number of the next one.
    next: u64,
    remarks: VecDeque<Remark>,
}

impl Remarks {
    pub(crate) fn push(&self, stage: &str, text: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.next;
        kept.next += 1;
        if kept.remarks.len() == REMARKS_MAX {
            kept.remarks.pop_front();
        }
        kept.remarks.push_back(Remark { number, stage: stage.to_owned(), text: text.to_owned() });
    }

    /// Those from number `first` on that are still kept.
    pub(crate) fn since(&self, first: u64) -> Vec<Remark> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remarks.iter().filter(|remark| remark.number >= first).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_watcher_gets_what_is_new_to_it() {
        let remarks = Remarks::default();
        (0..1030).for_each(|number| remarks.push("a", &number.to_string()));
        let all = remarks.since(0);
        assert_eq!((all.len(), all[0].number, all[0].text.as_str()), (REMARKS_MAX, 6, "6"));
        assert_eq!(remarks.since(1029).len(), 1);
        assert!(remarks.since(1030).is_empty());
    }
}
