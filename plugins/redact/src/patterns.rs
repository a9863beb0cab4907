//! Finds secrets in text, and says where its undecided end begins. Knows nothing of frames.

use std::collections::BTreeMap;
use std::ops::Range;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input, MatchKind, Span};
use regex_syntax::hir::Hir;
use tapedeck_sdk::Error;

use crate::options::Builtin;
use crate::{cards, prefix};

/// The most bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 32 << 20;

/// All begin with text that is rare, so that a search is fast where there is none of them. Terminals end lines with CR LF.
const KEYS: [&str; 4] = [
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:\r?\n(?:[A-Za-z-]{1,40}: [^\r\n]{0,200}|[A-Za-z0-9+/=]+)?)*(?:-----END [A-Z0-9 ]{1,60}-----)?",
    r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?-u:\b)",
    r#"(?:aws|AWS)_(?:secret|SECRET)_(?:access|ACCESS)_(?:key|KEY)["']?[ \t]*[=:][ \t]*["']?[A-Za-z0-9/+=]{40}"#,
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
];

const TOKENS: [&str; 12] = [
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"(?-u:\b)sk-[A-Za-z0-9_-]{20,}",
    r"npm_[A-Za-z0-9]{36,}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"hf_[A-Za-z0-9]{30,}",
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    r"(?:A|a)uthorization: ?(?:Bearer|bearer|Basic|basic|Token|token) [A-Za-z0-9._~+/=-]{8,}",
];

/// What could still become one: a card's number ends where its digits do.
const CARD_END: &str = "[0-9](?:[ -]?[0-9]){12,18}[^0-9]";

/// Finds secrets.
pub(crate) struct Patterns {
    /// The built-in ones, and each of the user's by itself: of two that match at the same place one would hide the other.
    secrets: Vec<meta::Regex>,
    cards: bool,
    /// Read from the end backwards it finds the first place from where on a text may become a match. `None` if nothing is sought.
    beginnings: Option<(DFA, Cache)>,
}

impl Patterns {
    pub(crate) fn new(patterns: &BTreeMap<String, String>, builtin: &[Builtin]) -> Result<Self, Error> {
        let mut sets: Vec<Vec<Hir>> = Vec::new();
        let mut sets_of_ours = Vec::new();
        if builtin.contains(&Builtin::Keys) {
            sets_of_ours.extend(KEYS.map(ours));
        }
        if builtin.contains(&Builtin::Tokens) {
            sets_of_ours.extend(TOKENS.map(ours));
        }
        if !sets_of_ours.is_empty() {
            sets.push(sets_of_ours);
        }
        for (name, pattern) in patterns {
            sets.push(vec![parse(pattern).map_err(|what| wrong(name, &what))?]);
        }
        let compiled = sets.iter().map(|set| search(set));
        let secrets = compiled.collect::<Result<_, _>>().map_err(|what| too_large(&what))?;
        let with_cards = builtin.contains(&Builtin::Cards);
        let ends = with_cards.then(|| ours(CARD_END));
        let all: Vec<Hir> = sets.iter().flatten().chain(&ends).filter_map(prefix::beginnings).collect();
        let beginnings =
            (!all.is_empty()).then(|| backwards(all)).transpose().map_err(|what| too_large(&what))?;
        Ok(Self { secrets, cards: with_cards, beginnings })
    }

    /// Gives `found` each secret that begins at `from` or behind it. What stands before is looked at, but nothing begins there.
    pub(crate) fn find(&self, text: &[u8], from: usize, mut found: impl FnMut(Range<usize>)) {
        for regex in &self.secrets {
            find_all(regex, text, from, &mut found);
        }
        if self.cards {
            cards::runs(text, from, |run| {
                let before = run.start.checked_sub(1).map(|at| text[at]);
                let begin = run.start;
                cards::find(&text[run], before, |card| found(begin + card.start..begin + card.end));
            });
        }
    }

    /// From where on the text may still become a match, `from` at the earliest.
    pub(crate) fn undecided(&mut self, text: &[u8], from: usize) -> usize {
        let Some((dfa, cache)) = &mut self.beginnings else { return text.len() };
        // Half a character is no text yet; whatever it becomes, it may belong to a match.
        let end = (text.len() - half_character(text)).max(from);
        let input = Input::new(text).span(Span { start: from, end }).anchored(Anchored::Yes);
        match dfa.try_search_rev(cache, &input) {
            Ok(found) => found.map_or(end, |half| half.offset()),
            // The automaton has no bytes that it does not know and no limit at which it gives up; if it had, nothing would be decided.
            Err(_) => from,
        }
    }
}

/// How many bytes at the end are the beginning of a character.
fn half_character(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(3)..];
    (1..=tail.len())
        .find(|&length| {
            let bytes = &tail[tail.len() - length..];
            std::str::from_utf8(bytes)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

fn find_all(regex: &meta::Regex, text: &[u8], from: usize, mut found: impl FnMut(Range<usize>)) {
    let search = |from: usize| regex.search(&Input::new(text).range(from..));
    let mut next = search(from);
    while let Some(this) = next {
        found(this.range());
        // A match that begins inside this one and reaches beyond it counts; one that lies inside it says nothing new.
        next = search(this.start() + 1);
        if next.as_ref().is_some_and(|next| next.start() < this.end() && next.end() <= this.end()) {
            next = search(this.end());
        }
    }
}

fn ours(pattern: &str) -> Hir {
    parse(pattern).expect("the built-in patterns are well formed")
}

fn parse(pattern: &str) -> Result<Hir, String> {
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
    let pattern = parsed.map_err(|error| error.to_string())?;
    match pattern.properties().minimum_len() {
        Some(0) => Err("it matches where there is nothing".to_owned()),
        None => Err("it never matches".to_owned()),
        Some(_) => Ok(pattern),
    }
}

fn search(patterns: &[Hir]) -> Result<meta::Regex, String> {
    let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(PATTERN_BYTES_MAX));
    meta::Builder::new().configure(config).build_many_from_hir(patterns).map_err(|error| error.to_string())
}

fn backwards(patterns: Vec<Hir>) -> Result<(DFA, Cache), String> {
    let config = thompson::Config::new()
        .reverse(true)
        .utf8(false)
        .which_captures(thompson::WhichCaptures::None)
        .nfa_size_limit(Some(PATTERN_BYTES_MAX));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&Hir::alternation(patterns));
    let nfa = nfa.map_err(|error| error.to_string())?;
    // All matches, so that the search goes on to the longest one.
    let config = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa).map_err(|error| error.to_string())?;
    let cache = dfa.create_cache();
    Ok((dfa, cache))
}

fn wrong(name: &str, what: &str) -> Error {
    Error::option(["patterns", name], format!("the pattern \"{name}\" can't be used: {what}"))
        .with_hint("The syntax is that of the Rust regex crate: no look-ahead, no back references.")
}

fn too_large(what: &str) -> Error {
    Error::option(["patterns"], format!("the patterns can't be compiled: {what}"))
        .with_hint("Repetitions of large character classes take the most room; `(?-u)` makes classes ASCII.")
}
