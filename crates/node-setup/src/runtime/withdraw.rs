//! Taking out of a text what was put in, whatever else has happened to it since.

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::edit::{EditError, assignment, item_mut, parse, put, remove, same_lines};
use super::lines::overlay;
use super::plan::header;
use super::template;
use super::value::{at, dotted, leaves, render, same};
use super::{Owned, OwnedKey, Withdrawn};

/// Takes kubefence's keys out of a text that somebody has changed since: restores what was there before, and leaves
/// what somebody gave another value.
pub fn withdraw(text: &str, keys: &[OwnedKey]) -> Result<Withdrawn, EditError> {
    let block = keys.iter().find_map(|key| match &key.owned {
        Owned::Block { written } => Some(written),
        _ => None,
    });
    if let Some(written) = block {
        return template::without_block(text, written);
    }
    let mut document = parse(text)?;
    let (left, lost) = take_out(&mut document, keys);
    let text = overlay(text, &document.to_string());
    // What is left of a file of ours is somebody else's.
    let text = text.strip_prefix(&header()).unwrap_or(&text);
    Ok(Withdrawn {
        text: text.to_owned(),
        left,
        lost,
    })
}

/// Takes keys out of a document. Says what is left, and what of others has gone.
pub(super) fn take_out(
    document: &mut DocumentMut,
    keys: &[OwnedKey],
) -> (Vec<String>, Vec<String>) {
    let (mut left, mut lost) = (Vec::new(), Vec::new());
    // The rest of a file means something else without the version of its schema.
    let (version, keys): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.path == ["version"]);
    for key in &keys {
        match &key.owned {
            Owned::Value { previous, written } => {
                left.extend(take_value(
                    document,
                    &key.path,
                    previous.as_deref(),
                    written,
                ));
            }
            Owned::Default { written } => left.extend(take_default(document, &key.path, written)),
            Owned::Subtree { written } => lost.extend(take_table(document, &key.path, written)),
            Owned::Table | Owned::Block { .. } => {}
        }
    }
    let mut made: Vec<_> = keys
        .iter()
        .filter(|key| key.owned == Owned::Table)
        .collect();
    made.sort_by_key(|key| std::cmp::Reverse(key.path.len()));
    for key in made {
        left.extend(take_header(document, &key.path));
    }
    for key in version {
        let rest = leaves(document.as_table());
        let has_more = rest.iter().any(|(path, _)| *path != key.path);
        match has_more {
            true => left.push("version is left: the rest of the file needs it".to_owned()),
            false => remove(document, &key.path),
        }
    }
    (left, lost)
}

fn parent<'a>(
    document: &'a mut DocumentMut,
    path: &'a [String],
) -> Option<(&'a mut dyn TableLike, &'a str)> {
    let (last, parents) = path.split_last()?;
    let table = item_mut(document.as_item_mut(), parents)?.as_table_like_mut()?;
    Some((table, last))
}

fn take_value(
    document: &mut DocumentMut,
    path: &[String],
    previous: Option<&str>,
    written: &str,
) -> Option<String> {
    let (table, key) = parent(document, path)?;
    let current = table.get(key)?;
    let is_ours = match (current.as_value(), written.parse::<Value>()) {
        (Some(current), Ok(written)) => same(current, &written),
        _ => false,
    };
    if !is_ours {
        let now = current.as_value().map_or("a table".to_owned(), render);
        return Some(format!(
            "{} is left: it is {now} now, not {written}",
            dotted(path)
        ));
    }
    match previous.and_then(|previous| previous.parse::<Value>().ok()) {
        Some(previous) => put(table, key, &previous),
        None => {
            table.remove(key);
        }
    }
    None
}

/// Removes a table with all that is in it. Returns what was not kubefence's.
fn take_table(document: &mut DocumentMut, path: &[String], written: &[String]) -> Vec<String> {
    let current = at(document.as_item(), path).and_then(Item::as_table_like);
    let current = current.map(leaves).unwrap_or_default();
    let foreign = current.iter().map(assignment);
    let lost = foreign
        .filter(|line| !written.contains(line))
        .map(|line| format!("{line} is gone, together with {}", dotted(path)))
        .collect();
    remove(document, path);
    lost
}

/// Removes a table that says what is so without it, unless it says something else by now.
fn take_default(document: &mut DocumentMut, path: &[String], written: &[String]) -> Option<String> {
    let current = at(document.as_item(), path)?.as_table_like().map(leaves)?;
    if !same_lines(&current, written) {
        return Some(format!("{} is left: it has been changed", dotted(path)));
    }
    remove(document, path);
    None
}

/// Removes a table's header if nothing is left below it.
fn take_header(document: &mut DocumentMut, path: &[String]) -> Option<String> {
    let Some(Item::Table(table)) = item_mut(document.as_item_mut(), path) else {
        return None;
    };
    if table.iter().any(|(_, item)| item.is_value()) {
        return Some(format!("{} is left: it is not empty", dotted(path)));
    }
    if table.is_empty() {
        remove(document, path);
    } else {
        table.set_implicit(true);
    }
    None
}
