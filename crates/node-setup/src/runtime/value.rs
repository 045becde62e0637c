//! TOML values: comparing them, and taking tables apart.

use toml_edit::{Item, TableLike, Value};

/// One value of a table, and the keys that lead to it.
pub(crate) type Leaf = (Vec<String>, Value);

/// Whether two values mean the same, however they are written.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Float(a), Value::Float(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Datetime(a), Value::Datetime(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            let equal = |key: &str, a: &Value| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(|(key, value)| equal(key, value))
        }
        _ => false,
    }
}

/// A value as text, without what stands around it.
pub(crate) fn render(value: &Value) -> String {
    value.clone().decorated("", "").to_string()
}

/// Whether a value is what a Go program has for a key that is not there.
pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.value().is_empty(),
        Value::Integer(number) => *number.value() == 0,
        Value::Float(number) => *number.value() == 0.0,
        Value::Boolean(flag) => !flag.value(),
        Value::Array(array) => array.is_empty(),
        Value::InlineTable(table) => table.is_empty(),
        Value::Datetime(_) => false,
    }
}

/// All values of a table and of the tables in it, in their order.
pub(crate) fn leaves(table: &dyn TableLike) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(table, &mut Vec::new(), &mut found);
    found
}

fn collect(table: &dyn TableLike, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    for (key, item) in table.iter() {
        path.push(key.to_owned());
        match (item.as_table_like(), item.clone().into_value()) {
            (Some(table), _) => collect(table, path, found),
            (None, Ok(value)) => found.push((path.clone(), value.decorated("", ""))),
            (None, Err(_)) => {}
        }
        path.pop();
    }
}

/// What stands at the end of a path.
pub(crate) fn at<'a>(item: &'a Item, path: &[impl AsRef<str>]) -> Option<&'a Item> {
    path.iter().try_fold(item, |item, key| {
        item.as_table_like()?
            .get(key.as_ref())
            .filter(|item| !item.is_none())
    })
}

/// The text at the end of a path.
pub(crate) fn text_at<'a>(item: &'a Item, path: &[impl AsRef<str>]) -> Option<&'a str> {
    at(item, path)?.as_str()
}

/// The truth value at the end of a path.
pub(crate) fn bool_at(item: &Item, path: &[impl AsRef<str>]) -> Option<bool> {
    at(item, path)?.as_bool()
}

/// The texts of a list at the end of a path.
pub(crate) fn texts_at(item: &Item, path: &[impl AsRef<str>]) -> Vec<String> {
    let list = at(item, path).and_then(Item::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// A path as it would be written before `=`.
pub(crate) fn dotted(path: &[impl AsRef<str>]) -> String {
    let keys = path.iter().map(|key| toml_edit::Key::new(key.as_ref()));
    keys.map(|key| key.display_repr().into_owned())
        .collect::<Vec<_>>()
        .join(".")
}
