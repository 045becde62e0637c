//! JSON, with comments.

use jsonc_parser::ast::{ObjectProp, ObjectPropName, Value as Ast};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Entry, Node, SyntaxError, Value};

/// Comments are all that is allowed beyond JSON.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS);
    let parsed = parsed.map_err(|error| SyntaxError {
        at: error.range().start,
        message: format!("not JSON: {}", error.kind()),
    })?;
    match parsed.value {
        Some(value) => node(value),
        None => Err(SyntaxError {
            at: 0,
            message: "not JSON: the file is empty".to_owned(),
        }),
    }
}

fn node(ast: Ast<'_>) -> Result<Node, SyntaxError> {
    let range = ast.range();
    let value = match ast {
        Ast::StringLit(text) => Value::Text(text.value.into_owned()),
        Ast::NumberLit(number) => match number.value.parse() {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::Other(number.value.to_owned()),
        },
        Ast::BooleanLit(literal) => Value::Bool(literal.value),
        Ast::NullKeyword(_) => Value::Null,
        Ast::Array(array) => Value::Array(
            array
                .elements
                .into_iter()
                .map(node)
                .collect::<Result<_, _>>()?,
        ),
        Ast::Object(object) => object_entries(object.properties).map(Value::Object)?,
    };
    Ok(Node {
        value,
        span: range.start..range.end,
    })
}

/// A key that stands twice is an error: readers disagree about which one counts.
fn object_entries(properties: Vec<ObjectProp<'_>>) -> Result<Vec<Entry>, SyntaxError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(properties.len());
    for property in properties {
        let range = property.name.range();
        let key = match property.name {
            ObjectPropName::String(name) => name.value.into_owned(),
            ObjectPropName::Word(name) => name.value.to_owned(),
        };
        if entries.iter().any(|entry| entry.key == key) {
            return Err(SyntaxError {
                at: range.start,
                message: format!("key {key:?} stands twice in the same object"),
            });
        }
        entries.push(Entry {
            key,
            key_span: range.start..range.end,
            node: node(property.value)?,
        });
    }
    Ok(entries)
}
