//! `anyOf` and `oneOf`: finds out which branch was meant, so that the message is about that one and not about all.

use super::scalar::no_choice;
use super::tree::{Id, Node, Type};
use super::words::constant_text;
use super::{Checker, Fault, Path, wrong_type};
use crate::diagnostic::{Code, Diagnostic};
use crate::pipeline::tree::{Located, Tree};

/// A branch, and what is wrong with the value if it was meant.
type Attempt = (Id, Vec<Fault>);

impl Checker<'_> {
    /// Checks a value against branches of which one must take it.
    pub(super) fn branches(&self, group: &[Id], value: &Located, path: &Path, faults: &mut Vec<Fault>) {
        let mut attempts: Vec<Attempt> = Vec::with_capacity(group.len());
        for branch in group.iter().map(|branch| self.schema.resolve(*branch)) {
            let found = self.faults(branch, value, &path.deeper());
            if found.is_empty() {
                return;
            }
            attempts.push((branch, found));
        }
        attempts.retain(|(branch, _)| !self.schema.node(*branch).is_null());
        if self.tagged(&mut attempts, value, path, faults) {
            return;
        }
        let names = value.as_text().and_then(|_| self.text_choices(&attempts));
        if let Some(names) = names {
            faults.push(no_choice(&names, value, path));
            return;
        }
        let meant: Vec<Id> = attempts.iter().map(|(branch, _)| *branch).collect();
        attempts
            .retain(|(_, found)| !found.iter().any(|fault| fault.is_type && fault.depth <= path.depth + 1));
        let best = attempts.into_iter().min_by_key(|(_, found)| {
            (found.len(), std::cmp::Reverse(found.iter().map(|fault| fault.depth).max()))
        });
        match best {
            Some((_, found)) => faults.extend(found),
            None => faults.push(Fault::new(path, self.none_fits(&meant, value, path))),
        }
    }

    /// The names that the branches for texts take, if they take nothing else.
    fn text_choices(&self, attempts: &[Attempt]) -> Option<Vec<String>> {
        let nodes = attempts.iter().map(|(branch, _)| self.schema.node(*branch));
        let of_text = nodes.filter(|node| {
            node.types.contains(&Type::Text) || (node.types.is_empty() && node.constants.is_some())
        });
        let each: Vec<Vec<String>> = of_text.map(|node| node.constant_texts()).collect();
        (!each.is_empty() && !each.iter().any(Vec::is_empty)).then(|| each.concat())
    }

    fn none_fits(&self, meant: &[Id], value: &Located, path: &Path) -> Diagnostic {
        let mut texts: Vec<String> = meant.iter().map(|branch| self.schema.text(*branch)).collect();
        texts.dedup();
        let nothing = Node::default();
        let first = meant.first().map_or(&nothing, |first| self.schema.node(*first));
        wrong_type(value, path, &texts.join(" or "), first)
    }

    /// Branches that a key with a constant tells apart (`type = "…"`): the one that the key names, or what is wrong with the key.
    /// Whether they are such branches.
    fn tagged(
        &self,
        attempts: &mut [Attempt],
        value: &Located,
        path: &Path,
        faults: &mut Vec<Fault>,
    ) -> bool {
        let Tree::Table(table) = &value.tree else { return false };
        let constant = |branch: Id, tag: &str| {
            let property = *self.schema.node(branch).properties.get(tag)?;
            self.schema.node(property).constant()
        };
        let Some(&(first, _)) = attempts.first() else { return false };
        let mut tags = self.schema.node(first).properties.keys();
        let tells = |tag: &&String| attempts.iter().all(|(branch, _)| constant(*branch, tag).is_some());
        let Some(tag) = tags.find(tells) else { return false };
        let constants = attempts.iter().filter_map(|(branch, _)| constant(*branch, tag));
        let names: Vec<String> = constants.map(constant_text).collect();
        let Some(entry) = table.get(tag) else {
            let message = format!("the option \"{tag}\" is missing in \"{path}\"");
            let hint = format!("add `{tag} = \"{}\"`, or another of: {}", names[0], names.join(", "));
            let missing = Diagnostic::new(Code::MissingKey, value.span.clone(), message).hint(hint);
            faults.push(Fault::new(path, missing));
            return true;
        };
        let found = entry.value.to_json();
        match attempts.iter_mut().find(|(branch, _)| constant(*branch, tag) == Some(&found)) {
            Some((_, found)) => faults.append(found),
            None => faults.push(no_choice(&names, &entry.value, &path.key(tag))),
        }
        true
    }
}
