//! Variables of a pipeline: `${NAME}` and `${NAME:-default}`, from `--set` first and the environment second.
//!
//! They are replaced in TOML's strings after the text was parsed, so no value can bring in a key or a table. A string that is
//! one variable and nothing else (`rate = "${RATE:-60}"`) may also stand where a number or a boolean is expected. `$${` is
//! a plain `${`. A variable that is set but empty counts as missing where there is a default, as in a shell.

use std::collections::{BTreeMap, BTreeSet};

use super::Span;
use super::hints::Hints;
use super::load::TEXT_BYTES_MAX;
use super::tree::{Located, Table, Tree};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceText};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where the values of variables come from.
pub struct Variables {
    settings: BTreeMap<String, String>,
    lookup: Box<Lookup>,
}

impl Variables {
    /// Variables that `lookup` (the environment) finds.
    #[must_use]
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { settings: BTreeMap::new(), lookup: Box::new(lookup) }
    }

    /// No variables at all.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    /// Adds a setting, which counts more than what `lookup` finds. The last one of a name counts.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Adds a setting as the command line spells it: `key=value`.
    ///
    /// # Errors
    /// No `=`, or a name that no `${NAME}` could ask for. The text says so, with an example.
    pub fn with_setting(self, setting: &str) -> Result<Self, String> {
        match setting.split_once('=') {
            Some((name, value)) if is_name(name) => Ok(self.with(name, value)),
            Some((name, _)) => Err(format!(
                "\"{name}\" is no name of a variable: use letters, digits and `_`, no digit first"
            )),
            None => Err(format!("\"{setting}\" has no value: write it as `{setting}=value`")),
        }
    }

    fn find(&self, name: &str) -> Option<String> {
        self.settings.get(name).cloned().or_else(|| (self.lookup)(name))
    }

    /// A text with its variables replaced.
    ///
    /// # Errors
    /// The name of a variable that is not set.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let value = |piece: Piece<'_>| match piece {
            Piece::Plain(text) | Piece::Broken(text, _) => Ok(text.to_owned()),
            Piece::Variable { name, default } => self.value(name, default).ok_or_else(|| name.to_owned()),
        };
        pieces(text).into_iter().map(value).collect()
    }

    /// The value of a variable; one that is set but empty counts as missing where there is a default.
    fn value(&self, name: &str, default: Option<&str>) -> Option<String> {
        let found = self.find(name).filter(|value| default.is_none() || !value.is_empty());
        found.or_else(|| default.map(str::to_owned))
    }

    /// Whether the value comes from the environment: not from a setting, nor from the pipeline's default.
    fn is_environment(&self, piece: &Piece<'_>) -> bool {
        let Piece::Variable { name, default } = *piece else { return false };
        let found = (self.lookup)(name).filter(|value| default.is_none() || !value.is_empty());
        !self.settings.contains_key(name) && found.is_some()
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Replaces the variables in all strings of a table.
pub(super) fn replace(
    source: &SourceText,
    table: &mut Table,
    variables: &Variables,
    diagnostics: &mut Diagnostics,
) {
    let (used, hints, left) = (BTreeSet::new(), Hints::new(), Some(TEXT_BYTES_MAX));
    let mut replacer = Replacer { source, variables, diagnostics, used, hints, left };
    replacer.table(table);
    let Replacer { used, hints, .. } = replacer;
    for name in variables.settings.keys().filter(|name| !used.contains(*name)) {
        let message = format!("the setting \"{name}\" is used nowhere in the pipeline");
        let hint = match hints.closest(name, used.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the pipeline asks for it as `${{{name}}}`"),
        };
        diagnostics.push(Diagnostic::nowhere(Code::UnusedSetting, message).hint(hint));
    }
}

struct Replacer<'a> {
    source: &'a SourceText,
    variables: &'a Variables,
    diagnostics: &'a mut Diagnostics,
    used: BTreeSet<String>,
    hints: Hints,
    /// How many bytes of values there may still be: a short text can ask for a long value many times. `None` after there were too many.
    left: Option<usize>,
}

/// One piece of a string.
#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Plain(&'t str),
    Variable {
        name: &'t str,
        default: Option<&'t str>,
    },
    /// A `${` that is no variable, and why.
    Broken(&'t str, &'static str),
}

impl Replacer<'_> {
    fn table(&mut self, table: &mut Table) {
        for entry in &mut table.entries {
            self.value(&mut entry.value);
        }
    }

    fn value(&mut self, value: &mut Located) {
        match &mut value.tree {
            Tree::Table(table) => self.table(table),
            Tree::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Tree::Scalar(serde_json::Value::String(text)) if text.contains("${") => {
                let pieces = pieces(text);
                let whole = matches!(pieces[..], [Piece::Variable { .. }]);
                let from_environment = pieces.iter().any(|piece| self.variables.is_environment(piece));
                let environment = from_environment.then(|| text.clone());
                let mut rest = value.span.clone();
                let replaced: Vec<Option<String>> =
                    pieces.iter().map(|piece| self.piece(piece, &value.span, &mut rest)).collect();
                value.environment = environment;
                value.tree = match replaced.into_iter().collect::<Option<String>>() {
                    Some(text) if whole => Tree::Variable(text),
                    Some(text) => Tree::Scalar(serde_json::Value::String(text)),
                    None => Tree::Missing,
                };
            }
            Tree::Scalar(_) | Tree::Variable(_) | Tree::Missing => {}
        }
    }

    /// What the piece is replaced by. `whole` is the string's place, `rest` what comes behind the pieces so far.
    fn piece(&mut self, piece: &Piece<'_>, whole: &Span, rest: &mut Span) -> Option<String> {
        match *piece {
            Piece::Plain(text) => {
                if text == "${" {
                    self.place("$${", whole, rest);
                }
                Some(text.to_owned())
            }
            Piece::Broken(text, why) => {
                let span = self.place(text, whole, rest);
                self.diagnostics.push(
                    Diagnostic::new(Code::BadVariable, span, format!("this is no variable: {why}"))
                        .hint("write `${NAME}` or `${NAME:-default}`; for a plain `${` write `$${`"),
                );
                None
            }
            Piece::Variable { name, default } => {
                self.used.insert(name.to_owned());
                let span = self.place(&format!("${{{name}"), whole, rest);
                let Some(found) = self.variables.value(name, default) else {
                    self.missing(name, span.start..span.end + 1);
                    return None;
                };
                self.afford(found, span)
            }
        }
    }

    /// The value, unless it is one too many.
    fn afford(&mut self, value: String, span: Span) -> Option<String> {
        self.left = self.left?.checked_sub(value.len());
        if self.left.is_none() {
            let message =
                format!("the values of all variables have more than {TEXT_BYTES_MAX} bytes together");
            self.diagnostics
                .push(Diagnostic::new(Code::TooLarge, span, message).hint("use shorter values, or fewer"));
        }
        self.left.map(|_| value)
    }

    fn missing(&mut self, name: &str, span: Span) {
        let set = self.variables.settings.keys().map(String::as_str);
        let near = self
            .hints
            .closest(name, set)
            .map_or(String::new(), |near| format!("did you mean \"{near}\"? or "));
        self.diagnostics.push(
            Diagnostic::new(Code::MissingVariable, span, format!("the variable \"{name}\" is not set")).hint(format!(
                "{near}set it with `--set {name}=value` or in the environment, or give a default: `${{{name}:-value}}`"
            )),
        );
    }

    /// Where the text stands in what is left of the string; the whole string if escapes hide it. After one that is hidden all are taken
    /// to be, or each would be looked for in all that is left.
    fn place(&self, text: &str, whole: &Span, rest: &mut Span) -> Span {
        let Some(at) = self.source.slice(rest).find(text) else {
            rest.start = rest.end;
            return whole.clone();
        };
        let found = rest.start + at..rest.start + at + text.len();
        rest.start = found.end;
        found
    }
}

/// Takes a string apart.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Plain(&rest[..at - 1]));
            pieces.push(Piece::Plain("${"));
            rest = &rest[at + 2..];
            continue;
        }
        if at > 0 {
            pieces.push(Piece::Plain(&rest[..at]));
        }
        let Some(end) = rest[at..].find('}').map(|length| at + length) else {
            pieces.push(Piece::Broken(&rest[at..], "the `}` is missing"));
            return pieces;
        };
        pieces.push(variable(&rest[at..=end]));
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

fn variable(text: &str) -> Piece<'_> {
    let inner = &text[2..text.len() - 1];
    let (name, default) =
        inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
    if !is_name(name) {
        Piece::Broken(text, "a name has letters, digits and `_`, and no digit first")
    } else if default.is_some_and(|default| default.contains("${")) {
        Piece::Broken(text, "a default can't hold another variable")
    } else {
        Piece::Variable { name, default }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, variables: &Variables) -> (Tree, Vec<&'static str>) {
        let source = SourceText::new("test", "");
        let mut diagnostics = Diagnostics::new(std::sync::Arc::new(source.clone()));
        let value = Located { span: 0..0, tree: Tree::Scalar(text.into()), environment: None };
        let entry = super::super::tree::Entry { key: "key".to_owned(), key_span: 0..0, value };
        let mut table = Table { entries: vec![entry] };
        replace(&source, &mut table, variables, &mut diagnostics);
        let codes = diagnostics.iter().map(|diagnostic| diagnostic.code.number()).collect();
        (table.entries.remove(0).value.tree, codes)
    }

    fn variables() -> Variables {
        Variables::new(|name| (name == "HOME" || name == "RATE").then(|| format!("env-{name}")))
            .with("RATE", "60")
    }

    #[test]
    fn a_setting_counts_more_than_the_environment() {
        assert_eq!(replaced("${RATE}", &variables()), (Tree::Variable("60".to_owned()), vec![]));
        assert_eq!(
            replaced("at ${RATE} Hz in ${HOME}", &variables()).0,
            Tree::Scalar("at 60 Hz in env-HOME".into())
        );
    }

    #[test]
    fn a_default_stands_in_for_a_variable_that_is_missing_or_empty() {
        let variables = Variables::none().with("EMPTY", "");
        for (text, expected) in [("${A:-x y}", "x y"), ("${A:-}", ""), ("${EMPTY:-d}", "d"), ("${EMPTY}", "")]
        {
            assert_eq!(replaced(text, &variables).0, Tree::Variable(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_doubled_dollar_is_a_plain_one() {
        let none = Variables::none();
        assert_eq!(replaced("$${RATE}", &none), (Tree::Scalar("${RATE}".into()), vec![]));
        assert_eq!(replaced("a $${b} $c {d} $", &none), (Tree::Scalar("a ${b} $c {d} $".into()), vec![]));
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["${", "${}", "${1A}", "${A B}", "x ${A", "${A:-${B"] {
            assert_eq!(replaced(text, &Variables::none()).1, ["E009"], "{text}");
        }
        assert_eq!(replaced("${A} ${A}", &Variables::none()).1, ["E008"]);
    }

    #[test]
    fn a_setting_that_nothing_asks_for_is_a_warning() {
        assert_eq!(replaced("${RATE}", &variables().with("RATTE", "1")).1, ["W002"]);
    }

    #[test]
    fn settings_are_read_as_the_command_line_spells_them() {
        let variables = Variables::none().with_setting("PATH_A=a=b").expect("a setting");
        assert_eq!(replaced("${PATH_A}", &variables).0, Tree::Variable("a=b".to_owned()));
        for wrong in ["A", "=1", "1A=2", "a b=3"] {
            assert!(Variables::none().with_setting(wrong).is_err(), "{wrong}");
        }
    }
}
