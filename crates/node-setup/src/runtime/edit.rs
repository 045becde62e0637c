//! Putting settings into a TOML text that somebody else has written, with comments and order kept.
//!
//! What is put in is recorded as [`OwnedKey`]s, so that it can be taken out again.
//!
//! Not here: which settings.

use std::path::PathBuf;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::lines::{MARK, overlay, plain};
use super::value::{Leaf, at, dotted, leaves, render, same};
use super::withdraw::take_out;
use super::{Owned, OwnedKey};

/// Why a text cannot be edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It is no TOML.
    #[error("line {line}: {message} (in `{found}`): mend it first")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// The line's text.
        found: String,
    },
    /// A value stands where a table is needed.
    #[error("{key} is {found}, and a table is needed there: make it one, or remove it")]
    NotATable {
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
    },
    /// The text would not say what it has to.
    #[error("{key} cannot be set without rewriting the file: write it as a table of its own")]
    NotSet {
        /// The key.
        key: String,
    },
    /// The block between kubefence's marks has no end.
    #[error("the line {begin:?} has no matching {end:?}: restore that line, or remove the block")]
    OpenBlock {
        /// The first mark.
        begin: &'static str,
        /// The last.
        end: &'static str,
    },
}

/// Why a file cannot be edited.
#[derive(Debug, thiserror::Error)]
#[error("cannot edit {path}")]
#[non_exhaustive]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: EditError,
}

/// What a text is to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Single values: set if they are not there or differ.
    pub(crate) values: Vec<Leaf>,
    /// Whole tables: they hold these values and nothing else.
    pub(crate) tables: Vec<WholeTable>,
    /// Whether a comment over each table that is put in says whose it is.
    pub(crate) marked: bool,
}

/// A table that is kubefence's own.
#[derive(Clone, Debug)]
pub(crate) struct WholeTable {
    /// The keys that lead there.
    pub(crate) path: Vec<String>,
    /// What it holds; the paths are relative.
    pub(crate) leaves: Vec<Leaf>,
    /// Whether it only says what is so without it: then it is the operator's as soon as he changes it.
    pub(crate) is_default: bool,
}

/// An edited text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) text: String,
    pub(crate) keys: Vec<OwnedKey>,
}

/// Reads a TOML text.
pub(crate) fn parse(text: &str) -> Result<DocumentMut, EditError> {
    let text = plain(text);
    text.parse().map_err(|error: toml_edit::TomlError| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text[..start].matches('\n').count() + 1;
        let found = text.lines().nth(line - 1).unwrap_or_default().trim();
        EditError::Syntax {
            line,
            message: error.message().replace('\n', " "),
            found: found.to_owned(),
        }
    })
}

/// Makes `text` say what `settings` ask for. `owned` is what is kubefence's in it already; what of it is no longer asked for
/// is taken out.
pub(crate) fn apply(
    text: &str,
    settings: &Settings,
    owned: &[OwnedKey],
) -> Result<Edited, EditError> {
    let mut document = parse(text)?;
    if document.is_empty() {
        // Comments alone would belong to nothing, and end up below what is put in.
        document.set_trailing("");
        document.decor_mut().set_prefix(plain(text));
    }
    let obsolete = owned.iter().filter(|key| !still_wanted(settings, key));
    take_out(&mut document, &obsolete.cloned().collect::<Vec<_>>());
    let mut keys = Vec::new();
    for (path, value) in &settings.values {
        keys.extend(set(&mut document, path, value, owned, settings.marked)?);
    }
    for table in &settings.tables {
        keys.extend(set_table(&mut document, table, owned, settings.marked)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|key| seen.insert(key.path.clone()));
    let text = overlay(text, &document.to_string());
    confirm(&text, settings)?;
    Ok(Edited { text, keys })
}

fn still_wanted(settings: &Settings, key: &OwnedKey) -> bool {
    match key.owned {
        Owned::Value { .. } => settings.values.iter().any(|(path, _)| *path == key.path),
        Owned::Table => {
            let mut paths = settings.values.iter().map(|(path, _)| path);
            paths.any(|path| path.starts_with(&key.path))
        }
        Owned::Subtree { .. } | Owned::Default { .. } => {
            settings.tables.iter().any(|table| table.path == key.path)
        }
        Owned::Block { .. } => true,
    }
}

/// Sets one value. Returns what is kubefence's because of it.
fn set(
    document: &mut DocumentMut,
    path: &[String],
    value: &Value,
    owned: &[OwnedKey],
    marked: bool,
) -> Result<Vec<OwnedKey>, EditError> {
    let known = |path: &[String]| owned.iter().find(|key| key.path == path).cloned();
    let mut keys: Vec<OwnedKey> = (1..path.len())
        .filter_map(|length| known(&path[..length]))
        .filter(|key| key.owned == Owned::Table)
        .collect();
    let current = at(document.as_item(), path).and_then(Item::as_value);
    if current.is_some_and(|current| same(current, value)) {
        keys.extend(known(path));
        return Ok(keys);
    }
    let previous = match known(path).map(|key| key.owned) {
        Some(Owned::Value { previous, .. }) => previous,
        _ => current.map(render),
    };
    let made = put_at(document, path, value, marked)?;
    keys.extend(made.map(|path| OwnedKey {
        path,
        owned: Owned::Table,
    }));
    keys.push(OwnedKey {
        path: path.to_vec(),
        owned: Owned::Value {
            previous,
            written: render(value),
        },
    });
    Ok(keys)
}

/// Puts a whole table in, or what is missing into one that is there and is not kubefence's.
fn set_table(
    document: &mut DocumentMut,
    table: &WholeTable,
    owned: &[OwnedKey],
    marked: bool,
) -> Result<Vec<OwnedKey>, EditError> {
    let ours = owned.iter().find(|key| {
        let is_table = matches!(key.owned, Owned::Subtree { .. } | Owned::Default { .. });
        is_table && key.path == table.path
    });
    let current = at(document.as_item(), &table.path).map(|item| match item.as_table_like() {
        Some(table) => leaves(table),
        None => Vec::new(),
    });
    let absolute = |path: &[String]| [table.path.as_slice(), path].concat();
    if let (Some(current), Some(ours)) = (&current, ours)
        && let Owned::Default { written } = &ours.owned
    {
        let is_unchanged = same_lines(current, written);
        return Ok(is_unchanged.then(|| ours.clone()).into_iter().collect());
    }
    if current.is_some() && ours.is_none() {
        let values = table.leaves.iter();
        let set = values.map(|(path, value)| set(document, &absolute(path), value, owned, marked));
        return Ok(set.collect::<Result<Vec<_>, _>>()?.concat());
    }
    if current.is_none_or(|current| !same_leaves(&current, &table.leaves)) {
        replace_table(document, table, marked)?;
    }
    let written = table.leaves.iter().map(assignment).collect();
    Ok(vec![OwnedKey {
        path: table.path.clone(),
        owned: match table.is_default {
            true => Owned::Default { written },
            false => Owned::Subtree { written },
        },
    }])
}

/// Whether a table holds exactly what was written.
pub(crate) fn same_lines(current: &[Leaf], written: &[String]) -> bool {
    current.len() == written.len()
        && current
            .iter()
            .all(|leaf| written.contains(&assignment(leaf)))
}

/// A value and its key, as a line.
pub(crate) fn assignment((path, value): &Leaf) -> String {
    format!("{} = {}", dotted(path), render(value))
}

fn same_leaves(a: &[Leaf], b: &[Leaf]) -> bool {
    let is_in = |(path, value): &Leaf| b.iter().any(|(p, v)| p == path && same(v, value));
    a.len() == b.len() && a.iter().all(is_in)
}

fn replace_table(
    document: &mut DocumentMut,
    table: &WholeTable,
    marked: bool,
) -> Result<(), EditError> {
    remove(document, &table.path);
    table_for(document, &table.path, marked)?;
    for (path, value) in &table.leaves {
        put_at(
            document,
            &[table.path.as_slice(), path].concat(),
            value,
            false,
        )?;
    }
    Ok(())
}

/// Sets the value at the end of a path. Returns the path of its table if that has a header only from now on.
fn put_at(
    document: &mut DocumentMut,
    path: &[String],
    value: &Value,
    marked: bool,
) -> Result<Option<Vec<String>>, EditError> {
    let Some((key, parents)) = path.split_last() else {
        return Ok(None);
    };
    let (table, made) = table_for(document, parents, marked)?;
    put(table, key, value);
    Ok(made)
}

/// Removes what stands at the end of a path.
pub(crate) fn remove(document: &mut DocumentMut, path: &[String]) {
    let parent = path
        .split_last()
        .and_then(|(key, parents)| Some((key, item_mut(document.as_item_mut(), parents)?)));
    if let Some((key, Some(table))) = parent.map(|(key, item)| (key, item.as_table_like_mut())) {
        table.remove(key);
    }
}

/// The table at the end of a path, and its path if it has a header only from now on.
fn table_for<'a>(
    document: &'a mut DocumentMut,
    path: &[String],
    marked: bool,
) -> Result<(&'a mut dyn TableLike, Option<Vec<String>>), EditError> {
    let mut item = document.as_item_mut();
    let mut exists = true;
    for (depth, key) in path.iter().enumerate() {
        let is_inline = item.is_inline_table();
        let fail = |found| EditError::NotATable {
            key: dotted(&path[..depth]),
            found,
        };
        let found = item.type_name();
        let table = item.as_table_like_mut().ok_or_else(|| fail(found))?;
        exists = table.contains_key(key);
        item = table.entry(key).or_insert_with(|| new_table(is_inline));
    }
    let found = item.type_name();
    let is_implicit =
        matches!(item, Item::Table(table) if table.is_implicit() && !table.is_dotted());
    let had_header = exists && !is_implicit;
    if let Item::Table(table) = item
        && !had_header
    {
        table.set_implicit(false);
        table.decor_mut().set_prefix(match marked {
            true => format!("\n{MARK} `kubefence node uninstall` removes this.\n"),
            false => "\n".to_owned(),
        });
    }
    let fail = || EditError::NotATable {
        key: dotted(path),
        found,
    };
    let table = item.as_table_like_mut().ok_or_else(fail)?;
    Ok((table, (!had_header).then(|| path.to_vec())))
}

fn new_table(inline: bool) -> Item {
    if inline {
        return Item::Value(Value::InlineTable(InlineTable::new()));
    }
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// Replaces a value, and leaves what stands around it.
pub(crate) fn put(table: &mut dyn TableLike, key: &str, value: &Value) {
    let mut value = value.clone().decorated(" ", "");
    match table.get_mut(key) {
        Some(Item::Value(current)) => {
            *value.decor_mut() = current.decor().clone();
            *current = value;
        }
        Some(item) => *item = Item::Value(value),
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

/// What stands at the end of a path.
pub(crate) fn item_mut<'a>(item: &'a mut Item, path: &[String]) -> Option<&'a mut Item> {
    path.iter().try_fold(item, |item, key| {
        item.as_table_like_mut()?
            .get_mut(key)
            .filter(|item| !item.is_none())
    })
}

/// Reads the result again: does it say what it has to?
fn confirm(text: &str, settings: &Settings) -> Result<(), EditError> {
    let document = parse(text)?;
    let tables = settings.tables.iter().filter(|table| !table.is_default);
    let inner = tables.flat_map(|table| {
        let leaves = table.leaves.iter();
        leaves.map(|(path, value)| ([table.path.as_slice(), path].concat(), value))
    });
    let values = settings.values.iter();
    let all = values
        .map(|(path, value)| (path.clone(), value))
        .chain(inner);
    for (path, value) in all {
        let found = at(document.as_item(), &path).and_then(Item::as_value);
        if !found.is_some_and(|found| same(found, value)) {
            return Err(EditError::NotSet { key: dotted(&path) });
        }
    }
    Ok(())
}
