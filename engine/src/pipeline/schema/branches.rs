//! `anyOf` and `oneOf`: finds out which branch was meant, so that the message is about that one and not about all.

use serde_json::Value;

use super::scalar::{all_constants, no_choice};
use super::view::{constant_text, example, types};
use super::{Checker, Fault, Faults, Path};
use crate::diagnostic::{Code, Diagnostic};
use crate::pipeline::tree::{Located, Tree};

impl Checker<'_> {
    /// Checks a value against branches of which one must take it.
    pub(super) fn branches(&self, branches: &[Value], value: &Located, path: &Path, faults: &mut Faults) {
        let branches: Vec<&Value> = branches.iter().map(|branch| self.view.resolve(branch)).collect();
        if branches.iter().any(|branch| self.is_sound(branch, value)) {
            return;
        }
        // A TOML value is never null: such a branch only says that the option may be left out.
        let meant: Vec<&Value> =
            branches.into_iter().filter(|branch| branch.get("type") != Some(&Value::from("null"))).collect();
        if let Some(found) = self.tagged(&meant, value, path) {
            faults.list.extend(found);
            return;
        }
        if value.as_text().is_some()
            && let Some(names) = all_constants(&of_type(&meant, "string"))
        {
            faults.push(path, no_choice(&names, value, path));
            return;
        }
        let mut attempts: Vec<Vec<Fault>> =
            meant.iter().map(|branch| self.attempt(branch, value, path)).collect();
        attempts
            .retain(|attempt| !attempt.iter().any(|fault| fault.is_type && fault.depth <= path.depth + 1));
        let best = attempts.into_iter().min_by_key(|attempt| {
            (attempt.len(), std::cmp::Reverse(attempt.iter().map(|fault| fault.depth).max()))
        });
        match best {
            Some(attempt) => faults.list.extend(attempt),
            None => faults.push(path, self.none_fits(&meant, value, path)),
        }
    }

    fn attempt(&self, schema: &Value, value: &Located, path: &Path) -> Vec<Fault> {
        let mut faults = Faults::default();
        self.value(schema, value, &path.deeper(), &mut faults);
        faults.list
    }

    fn none_fits(&self, meant: &[&Value], value: &Located, path: &Path) -> Diagnostic {
        let mut texts: Vec<String> = meant.iter().map(|branch| self.view.text_of(branch)).collect();
        texts.dedup();
        let expected = texts.join(" or ");
        let hint = match meant.first().and_then(|first| first.as_object()) {
            Some(first) => example(first, &expected),
            None => format!("write {expected}"),
        };
        let message = format!("\"{}\" must be {expected}, found {}", path.text, value.type_name());
        Diagnostic::new(Code::WrongType, value.span.clone(), message)
            .label(format!("expected {expected}"))
            .hint(hint)
    }

    /// Branches that a key with a constant tells apart (`type = "…"`): the one that the key names, or what is wrong with the key.
    fn tagged(&self, meant: &[&Value], value: &Located, path: &Path) -> Option<Vec<Fault>> {
        let Tree::Table(table) = &value.tree else { return None };
        let constant = |branch: &Value, tag: &str| -> Option<Value> {
            branch.get("properties")?.get(tag)?.get("const").cloned()
        };
        let first = meant.first()?.get("properties")?.as_object()?;
        let tag = first.keys().find(|tag| meant.iter().all(|branch| constant(branch, tag).is_some()))?;
        let names: Vec<String> =
            meant.iter().filter_map(|branch| constant(branch, tag)).map(|c| constant_text(&c)).collect();
        let mut faults = Faults::default();
        let Some(entry) = table.get(tag) else {
            let message = format!("the option \"{tag}\" is missing in \"{}\"", path.text);
            let hint = format!("add `{tag} = \"{}\"`, or another of: {}", names[0], names.join(", "));
            faults.push(path, Diagnostic::new(Code::MissingKey, value.span.clone(), message).hint(hint));
            return Some(faults.list);
        };
        let found = entry.value.to_json();
        match meant.iter().find(|branch| constant(branch, tag).as_ref() == Some(&found)) {
            Some(branch) => Some(self.attempt(branch, value, path)),
            None => {
                faults.push(path, no_choice(&names, &entry.value, &path.key(tag)));
                Some(faults.list)
            }
        }
    }
}

/// The branches that take values of the type.
fn of_type<'v>(branches: &[&'v Value], name: &str) -> Vec<&'v Value> {
    let takes = |branch: &Value| {
        branch.as_object().is_some_and(|branch| {
            let types = types(branch);
            types.contains(&name)
                || (types.is_empty() && (branch.contains_key("const") || branch.contains_key("enum")))
        })
    };
    branches.iter().filter(|branch| takes(branch)).copied().collect()
}
