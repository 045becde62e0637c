//! YAML as JSON values, which are easier to look into.

use anyhow::{Context as _, Result, bail};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// All documents of `text` that are not empty. A key that stands twice in a mapping is an error.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let documents = Yaml::load_from_str(text).context("this is no YAML")?;
    let values: Result<Vec<Value>> = documents.iter().map(convert).collect();
    Ok(values?
        .into_iter()
        .filter(|value| !value.is_null())
        .collect())
}

/// The only document of `text`; an empty one is an empty mapping.
pub fn document(text: &str) -> Result<Value> {
    let mut documents = documents(text)?;
    match documents.len() {
        0 => Ok(Value::Object(Map::new())),
        1 => Ok(documents.remove(0)),
        several => bail!("{several} documents instead of one"),
    }
}

fn convert(yaml: &Yaml) -> Result<Value> {
    Ok(match yaml {
        Yaml::Value(scalar) => convert_scalar(scalar)?,
        Yaml::Sequence(items) => items.iter().map(convert).collect::<Result<_>>()?,
        Yaml::Mapping(entries) => {
            let entry = |(key, value): (&Yaml, &Yaml)| {
                let key = key.as_str().context("a key is no string")?;
                Ok((key.to_owned(), convert(value)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Result<_>>()?)
        }
        other => bail!("{other:?} has no counterpart in JSON"),
    })
}

fn convert_scalar(scalar: &Scalar) -> Result<Value> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::FloatingPoint(value) => {
            let number = Number::from_f64(value.into_inner());
            Value::Number(number.context("JSON has no such number")?)
        }
        Scalar::String(text) => Value::from(text.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_become_values() {
        let text = "---\n# nothing\n---\na: [1, 'x', null, 1.5]\nb: {c: true}\n";
        let expected = json!({ "a": [1, "x", null, 1.5], "b": { "c": true } });
        assert_eq!(documents(text).unwrap(), std::slice::from_ref(&expected));
        assert_eq!(document(text).unwrap(), expected);
        assert_eq!(document("# nothing\n").unwrap(), json!({}));
    }

    #[test]
    fn what_kubernetes_would_refuse_is_refused() {
        for text in ["a: 1\na: 2\n", "1: x\n", "a: [\n", "a: 1\n---\nb: 2\n"] {
            assert!(document(text).is_err(), "{text:?}");
        }
    }
}
