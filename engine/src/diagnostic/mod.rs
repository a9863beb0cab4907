//! What is wrong with a pipeline, and where: collected, sorted, and shown as text or JSON.
//!
//! Knows text and places in it; knows nothing of what a pipeline means.

mod code;
mod render;
mod source;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

pub use code::{Code, Severity};
pub use render::Style;
pub use source::{Position, SourceText, Span};

/// One thing that is wrong, or at least odd.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// The kind of trouble; it decides the severity.
    pub code: Code,
    /// What was found, with names in quotes.
    pub message: String,
    /// Where, in bytes of the text; `None` when it is about no place (a file that can't be read).
    pub span: Option<Span>,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// Another place that belongs to it, with a few words.
    pub other: Option<(Span, String)>,
    /// What to do next, as a sentence of its own.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Trouble at a place.
    #[must_use]
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: Some(span), label: None, other: None, hint: None }
    }

    /// Trouble without a place.
    #[must_use]
    pub fn nowhere(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, label: None, other: None, hint: None }
    }

    /// Adds a few words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that is wrong with one text, sorted by place.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    source: Arc<SourceText>,
    /// By their place, and at one place in the order in which they came.
    list: BTreeMap<(usize, usize), Arc<Diagnostic>>,
    /// The same ones: none is said twice.
    known: HashSet<Arc<Diagnostic>>,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new(source: Arc<SourceText>) -> Self {
        Self { source, list: BTreeMap::new(), known: HashSet::new() }
    }

    /// Adds one, at its place in the order.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.span.as_ref().map_or(0, |span| span.start);
        let diagnostic = Arc::new(diagnostic);
        if self.known.insert(diagnostic.clone()) {
            self.list.insert((place, self.known.len()), diagnostic);
        }
    }

    /// The text they are about.
    #[must_use]
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// All of them, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.values().map(|diagnostic| &**diagnostic)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.iter().filter(|diagnostic| diagnostic.code.severity() == Severity::Error).count()
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// As text for people: each with its line, a caret and its hint, and a last line that counts them.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        render::text(self, style)
    }

    /// As JSON for programs: an array of objects with severity, code, message, file, position, label and hint.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.iter().map(|diagnostic| render::json(&self.source, diagnostic)).collect()
    }
}

impl serde::Serialize for Diagnostics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests;
