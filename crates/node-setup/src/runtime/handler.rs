//! Which handler of the node is copied, and what the copy is.

use std::path::Path;

use toml_edit::{Array, Item, Value};

use super::edit::{WholeTable, parse};
use super::plan::PlanError;
use super::value::{Leaf, at, is_zero, leaves, texts_at};
use super::{Owned, Wanted};

/// The annotations with which a pod chooses its profile.
pub(super) const ANNOTATIONS: [&str; 2] = ["nono.sh/*", "container.nono.sh/*"];

/// Where a runtime's handlers say what.
pub(super) struct Keys {
    /// The keys that lead to the handlers, in each schema.
    pub(super) handlers: &'static [&'static [&'static str]],
    /// The OCI runtime.
    pub(super) program: &'static [&'static str],
    /// What kind of runtime it is.
    pub(super) kind: &'static str,
    /// The kinds that can have the guard in front. An absent key counts as empty.
    pub(super) kinds: &'static [&'static str],
    /// What to write for a handler to be such a kind.
    pub(super) needed: &'static str,
    /// The lists of annotations that are passed on.
    pub(super) annotations: &'static [&'static str],
}

/// A handler of the node.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    pub(super) name: String,
    pub(super) leaves: Vec<Leaf>,
}

impl Handler {
    pub(super) fn text(&self, path: &[&str]) -> &str {
        let mut leaves = self.leaves.iter();
        let value = leaves.find(|(keys, _)| keys == path);
        value.and_then(|(_, value)| value.as_str()).unwrap_or("")
    }

    /// Whether its OCI runtime is the guard.
    pub(super) fn runs(&self, keys: &Keys, guard: &Path) -> bool {
        Path::new(self.text(keys.program)) == guard
    }

    /// Whether a pod's choice of a profile reaches the guard.
    pub(super) fn passes_choice_on(&self, keys: &Keys) -> bool {
        let Some(key) = keys.annotations.first() else {
            return true;
        };
        let mut leaves = self.leaves.iter();
        let listed = leaves.find(|(path, _)| path == &[*key]);
        let listed = listed.map(|(_, value)| texts_at(&Item::Value(value.clone()), &[] as &[&str]));
        let listed = listed.unwrap_or_default();
        ANNOTATIONS
            .iter()
            .all(|annotation| listed.iter().any(|found| found == annotation))
    }

    /// What it says beyond what a handler is without saying anything.
    pub(super) fn stated(&self) -> Vec<Leaf> {
        let leaves = self.leaves.iter();
        leaves
            .filter(|(_, value)| !is_zero(value))
            .cloned()
            .collect()
    }

    /// The same handler under another name, with the guard in front of its runtime.
    pub(super) fn guarded(&self, keys: &Keys, guard: &Path, path: Vec<String>) -> WholeTable {
        let replaced = |path: &[String]| {
            path == keys.program || keys.annotations.iter().any(|key| path == [*key])
        };
        let mut copied = self.stated();
        copied.retain(|(path, _)| !replaced(path));
        for key in keys.annotations {
            copied.push((vec![(*key).to_owned()], Value::Array(self.annotations(key))));
        }
        let program = keys.program.iter().map(|key| (*key).to_owned()).collect();
        let guard = guard.to_string_lossy().into_owned();
        copied.push((program, Value::from(guard)));
        WholeTable {
            path,
            leaves: copied,
            is_default: false,
        }
    }

    fn annotations(&self, key: &str) -> Array {
        let mut leaves = self.leaves.iter();
        let listed = leaves.find(|(path, _)| path == &[key]);
        let mut all: Vec<String> = match listed {
            Some((_, value)) => texts_at(&Item::Value(value.clone()), &[] as &[&str]),
            None => Vec::new(),
        };
        for annotation in ANNOTATIONS {
            if !all.iter().any(|listed| listed == annotation) {
                all.push(annotation.to_owned());
            }
        }
        all.into_iter().collect()
    }
}

/// The handlers of a table of handlers.
pub(super) fn handlers(table: Option<&Item>) -> Vec<Handler> {
    let table = table.and_then(Item::as_table_like);
    let entries = table.into_iter().flat_map(|table| table.iter());
    entries
        .filter_map(|(name, item)| {
            Some(Handler {
                name: name.to_owned(),
                leaves: leaves(item.as_table_like()?),
            })
        })
        .collect()
}

/// All handlers of a node.
pub(super) struct Known {
    keys: &'static Keys,
    handlers: Vec<Handler>,
    /// The names of those that are kubefence's.
    ours: Vec<String>,
    default: String,
}

impl Known {
    pub(super) fn new(
        keys: &'static Keys,
        handlers: Vec<Handler>,
        default: &str,
        wanted: &Wanted,
    ) -> Self {
        let is_ours = |handler: &&Handler| {
            let owns = |owned: &Owned, path: &[String]| is_made(keys, owned, path, &handler.name);
            let mut owned = wanted.owned.values().flatten();
            handler.runs(keys, &wanted.guard) || owned.any(|key| owns(&key.owned, &key.path))
        };
        let ours = handlers.iter().filter(is_ours);
        Self {
            keys,
            ours: ours.map(|handler| handler.name.clone()).collect(),
            handlers,
            default: default.to_owned(),
        }
    }

    /// Those of others.
    pub(super) fn of_others(&self) -> impl Iterator<Item = &Handler> {
        let handlers = self.handlers.iter();
        handlers.filter(|handler| !self.ours.contains(&handler.name))
    }

    /// A wanted handler that somebody else has.
    pub(super) fn taken(&self, wanted: &Wanted) -> Option<&Handler> {
        let mut others = self.of_others();
        others.find(|handler| wanted.handlers.contains(&handler.name))
    }

    /// The handler to copy: the node's default one, or else the first runc whose program `is_there`.
    pub(super) fn choose(
        &self,
        config: &Path,
        is_there: impl Fn(&Handler) -> bool,
        notes: &mut Vec<String>,
    ) -> Result<&Handler, PlanError> {
        let fits = |handler: &&Handler| {
            let kind = handler.text(&[self.keys.kind]);
            self.keys.kinds.contains(&kind)
        };
        let named = |name: &str| self.of_others().find(|handler| handler.name == name);
        let others = ["runc", "crun"].into_iter().filter_map(named);
        let others = others.chain(self.of_others());
        let others = others.filter(|handler| is_there(handler));
        let chosen = named(&self.default).into_iter().chain(others).find(fits);
        let chosen = chosen.ok_or_else(|| PlanError::NoRunc {
            default: self.default.clone(),
            needed: self.keys.needed,
            config: config.to_owned(),
        })?;
        if chosen.name != self.default {
            notes.push(format!(
                "the default handler {:?} is no runc handler: {:?} is copied instead",
                self.default, chosen.name
            ));
        }
        Ok(chosen)
    }
}

/// Whether what is owned is a handler of this name, wherever its guard was then.
fn is_made(keys: &Keys, owned: &Owned, path: &[String], name: &str) -> bool {
    match owned {
        Owned::Subtree { .. } => path.last().is_some_and(|last| last == name),
        Owned::Block { written } => parse(written).is_ok_and(|block| {
            let mut places = keys.handlers.iter();
            places.any(|place| {
                let path: Vec<&str> = place.iter().copied().chain([name]).collect();
                at(block.as_item(), &path).is_some()
            })
        }),
        Owned::Value { .. } | Owned::Table | Owned::Default { .. } => false,
    }
}
