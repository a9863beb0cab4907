//! What could still become a match: from the expression of a pattern, one for all beginnings of its matches. Knows nothing of searching.

use regex_syntax::hir::{Hir, HirKind, Repetition};

/// An expression of the texts that are not yet a match, or not the longest one, of `pattern`, but may be with more behind them. The
/// empty text is one. `None` if there are none. A look-around is taken to hold: at the end of a text nobody knows.
pub(crate) fn beginnings(pattern: &Hir) -> Option<Hir> {
    match pattern.kind() {
        HirKind::Empty => None,
        HirKind::Look(_) | HirKind::Class(_) => Some(Hir::empty()),
        HirKind::Literal(literal) => {
            let (_last, rest) = literal.0.split_last()?;
            let longer = |longer: Hir, byte: &u8| optional(Hir::concat(vec![Hir::literal([*byte]), longer]));
            Some(rest.iter().rfold(Hir::empty(), longer))
        }
        HirKind::Repetition(repetition) => {
            let last = beginnings(&repetition.sub)?;
            let before = match repetition.max {
                Some(0) => return None,
                Some(max) => Some(max - 1),
                None => None,
            };
            let repeated = Repetition {
                min: 0,
                max: before,
                greedy: true,
                sub: Box::new(without_looks(&repetition.sub)),
            };
            Some(Hir::concat(vec![Hir::repetition(repeated), last]))
        }
        HirKind::Capture(capture) => beginnings(&capture.sub),
        HirKind::Concat(parts) => parts.iter().rev().fold(None, |later, part| {
            let later = later.map(|later| Hir::concat(vec![without_looks(part), later]));
            either(beginnings(part), later)
        }),
        HirKind::Alternation(parts) => parts.iter().map(beginnings).fold(None, either),
    }
}

fn either(one: Option<Hir>, other: Option<Hir>) -> Option<Hir> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Hir::alternation(vec![one, other])),
        (one, other) => one.or(other),
    }
}

fn optional(pattern: Hir) -> Hir {
    Hir::repetition(Repetition { min: 0, max: Some(1), greedy: true, sub: Box::new(pattern) })
}

/// The same expression where every look-around holds.
fn without_looks(pattern: &Hir) -> Hir {
    match pattern.kind() {
        HirKind::Look(_) => Hir::empty(),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => pattern.clone(),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(without_looks(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => without_looks(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_looks).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_looks).collect()),
    }
}
