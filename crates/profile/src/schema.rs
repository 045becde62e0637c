//! The JSON Schema of profile files, for editors.

use serde_json::{Map, Value, json};

use crate::keys::{self, Effect, Key, Kind};

/// The JSON Schema (draft 2020-12) of profile files, made from the list of keys.
pub fn schema() -> Value {
    let mut root = section("");
    let object = root.as_object_mut().expect("a section is an object");
    object.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    object.insert("title".to_owned(), json!("kubefence profile"));
    root
}

fn section(path: &str) -> Value {
    let mut properties = Map::new();
    for name in keys::names_below(path) {
        let path = match path {
            "" => name.to_owned(),
            section => format!("{section}.{name}"),
        };
        let value = keys::find(&path).map_or_else(|| section(&path), property);
        properties.insert(name.to_owned(), value);
    }
    let kind = match path {
        "" => json!("object"),
        _ => json!(["object", "null"]),
    };
    json!({ "type": kind, "properties": properties, "additionalProperties": false })
}

fn property(key: &Key) -> Value {
    let mut value = kind(key.kind);
    let about = match key.effect {
        Effect::Applied => key.about.to_owned(),
        Effect::Ignored => format!("Has no effect: {}", key.about),
        Effect::Refused => format!("Cannot be enforced: {}", key.about),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("description".to_owned(), json!(about));
        if key.effect != Effect::Applied {
            object.insert("deprecated".to_owned(), json!(true));
        }
    }
    value
}

fn kind(kind: Kind) -> Value {
    let entries = |member: &str| {
        json!({ "type": ["array", "null"], "items": { "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": {
                    member: { "type": "string" },
                    "when": { "enum": ["linux", "macos", "windows"] }
                },
                "required": [member],
                "additionalProperties": false
            }
        ] } })
    };
    match kind {
        Kind::Text => json!({ "type": ["string", "null"] }),
        Kind::Flag => json!({ "type": ["boolean", "null"] }),
        Kind::Number => json!({ "type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX }),
        Kind::Paths => entries("path"),
        Kind::Names => entries("name"),
        Kind::NameOrNames => json!({ "anyOf": [{ "type": ["string", "null"] }, entries("name")] }),
        Kind::Ports => json!({
            "type": ["array", "null"],
            "minItems": 1,
            "items": { "type": "integer", "minimum": 1, "maximum": 65535 }
        }),
        Kind::Choice(words) => {
            let words = words.iter().map(|word| json!(word)).chain([Value::Null]);
            json!({ "enum": words.collect::<Vec<_>>() })
        }
        Kind::Any => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kubefence profile schema > profiles/profile.schema.json` writes the file anew.
    #[test]
    fn the_committed_schema_is_this_one() {
        let committed = include_str!("../../../profiles/profile.schema.json");
        let committed: Value = serde_json::from_str(committed).unwrap();
        assert!(
            committed == schema(),
            "out of date: `kubefence profile schema > profiles/profile.schema.json`"
        );
    }
}
