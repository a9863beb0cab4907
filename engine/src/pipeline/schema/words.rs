//! What to call the values that a schema takes, in a sentence. Judges no value.

use std::borrow::Cow;

use serde_json::Value;

use super::tree::{Id, Node, Schema, Steps, TYPES, Type};
use tapedeck_sdk::names::list;

/// How deep a text goes into arrays and choices.
const DEPTH_MAX: usize = 16;

/// How many nodes a text looks at: there are many ways through a schema that refers to itself.
const STEPS_MAX: usize = 200;

/// How many choices and names are gathered.
const CHOICES_MAX: usize = 2_000;

/// The longest text, in characters.
const LENGTH_MAX: usize = 400;

/// A constant as the user would write it, without quotation marks.
pub(super) fn constant_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Node {
    /// The names that are taken, if only these are.
    pub(super) fn constant_texts(&self) -> Vec<String> {
        self.constants.iter().flatten().map(constant_text).collect()
    }

    /// How to write a value of the type.
    pub(super) fn hint(&self, expected: &str) -> String {
        let known = TYPES.iter().find(|known| self.types.first() == Some(&known.0));
        match (&self.example, self.notation, known) {
            (Some(example), ..) => format!("write for example `{example}`"),
            (_, Some((.., text)), _) => format!("write a number and a unit, for example `\"{text}\"`"),
            (.., Some((.., hint))) => (*hint).to_owned(),
            _ => format!("write {expected}"),
        }
    }
}

impl Schema {
    /// The first sentence of what the author wrote about an option.
    pub(super) fn sentence_about(&self, id: Id) -> Option<&str> {
        let about = self.node(id).about.as_ref().or_else(|| self.node(self.resolve(id)).about.as_ref());
        let text = about?.trim();
        let end = text.find(". ").or_else(|| text.find(".\n")).unwrap_or(text.len());
        Some(text[..end].trim_end_matches('.'))
    }

    /// The type in words: "an integer", "an array of strings".
    pub(super) fn text(&self, id: Id) -> String {
        self.text_within(id, DEPTH_MAX, &Steps::new(STEPS_MAX))
    }

    /// The type without its article: "integer", "array of strings". What takes a few names is "string".
    pub(in crate::pipeline) fn type_name(&self, id: Id) -> String {
        if !self.choices(id).is_empty() {
            return "string".to_owned();
        }
        let text = self.text(id).replace(" or an ", " or ").replace(" or a ", " or ");
        text.trim_start_matches("a ").trim_start_matches("an ").to_owned()
    }

    /// The names that the schema takes, if it takes nothing else. They may be one choice deeper: an optional choice is a choice or null.
    pub(in crate::pipeline) fn choices(&self, id: Id) -> Vec<String> {
        self.choices_within(id, 2, &Steps::new(CHOICES_MAX)).unwrap_or_default()
    }

    fn choices_within(&self, id: Id, depth: usize, steps: &Steps) -> Option<Vec<String>> {
        let node = self.node(self.resolve(id));
        let own = node.constant_texts();
        if !steps.take(1 + own.len()) {
            return None;
        }
        if !own.is_empty() {
            return Some(own);
        }
        let group = node.any.first().filter(|_| depth > 0)?.iter();
        let meant = group.filter(|branch| !self.node(**branch).is_null());
        let each = meant.map(|branch| self.choices_within(*branch, depth - 1, steps));
        Some(each.collect::<Option<Vec<_>>>()?.concat())
    }

    fn text_within(&self, id: Id, depth: usize, steps: &Steps) -> String {
        let node = self.node(self.resolve(id));
        if depth == 0 || !steps.take(1) {
            return "anything".to_owned();
        }
        let mut texts = Vec::new();
        if let Some(group) = node.any.first() {
            let meant = || group.iter().map(|branch| (*branch, self.node(self.resolve(*branch))));
            let names: Vec<String> = meant().flat_map(|(_, branch)| branch.constant_texts()).collect();
            texts.extend((!names.is_empty()).then(|| one_of(&names)));
            for (id, branch) in meant().filter(|(_, branch)| !branch.is_null()) {
                if branch.constants.as_ref().is_none_or(Vec::is_empty) {
                    add(&mut texts, self.text_within(id, depth - 1, steps));
                }
            }
        } else if node.constants.as_ref().is_some_and(|constants| !constants.is_empty()) {
            texts.push(one_of(&node.constant_texts()));
        } else {
            for &name in node.types.iter().filter(|name| **name != Type::Null) {
                add(&mut texts, self.type_text(node, name, depth - 1, steps));
            }
            if texts.is_empty() {
                texts.push("anything".to_owned());
            }
        }
        short(&texts.join(" or "), LENGTH_MAX).into_owned()
    }

    fn type_text(&self, node: &Node, name: Type, depth: usize, steps: &Steps) -> String {
        let items = node.items.filter(|_| name == Type::Array);
        let items = items.map(|items| self.text_within(items, depth, steps));
        match (items.filter(|items| items != "anything"), node.notation) {
            (Some(items), _) => format!("an array of {}", plural(&items)),
            (None, Some((_, text, _))) if name == Type::Text => text.to_owned(),
            _ => TYPES.iter().filter(|known| known.0 == name).map(|known| known.2).collect(),
        }
    }
}

fn add(texts: &mut Vec<String>, text: String) {
    if !texts.contains(&text) && texts.len() < STEPS_MAX {
        texts.push(text);
    }
}

/// The text, cut after so many characters.
pub(super) fn short(text: &str, length: usize) -> Cow<'_, str> {
    match text.char_indices().nth(length) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

fn one_of(names: &[String]) -> String {
    match names {
        [name] => format!("\"{name}\""),
        _ => format!("one of {}", list(names.iter().map(String::as_str))),
    }
}

fn plural(text: &str) -> String {
    match text.strip_prefix("a ").or_else(|| text.strip_prefix("an ")) {
        Some(noun) if noun.split(' ').count() == 1 => format!("{noun}s"),
        _ => text.to_owned(),
    }
}
