use super::*;

fn text(key: &str, document: &Document<'_>) -> (String, String) {
    let Value::Object(entries) = &document.root.value else {
        panic!("no object: {document:?}")
    };
    let entry = entries.iter().find(|entry| entry.key == key).unwrap();
    let Value::Text(text) = &entry.node.value else {
        panic!("no text: {entry:?}")
    };
    let at = document.location(entry.node.span.start);
    (text.clone(), at.to_string())
}

#[test]
fn json_and_toml_give_the_same_tree() {
    let json =
        "{ // why\n  \"a\": 1, \"b\": [true, \"x\"],\n  \"c\": { \"d\": \"é\", \"e\": 1.5 } }";
    let toml = "a = 1\nb = [true, \"x\"]\n[c]\nd = \"é\"\ne = 1.5\n";
    let shape = |file: &str, text: &str| {
        let document = Document::parse(file, text).unwrap();
        without_spans(&document.root)
    };
    assert_eq!(shape("x.json", json), shape("x.toml", toml));
}

fn without_spans(node: &Node) -> String {
    match &node.value {
        Value::Array(items) => format!("{:?}", items.iter().map(without_spans).collect::<Vec<_>>()),
        Value::Object(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|e| format!("{}={}", e.key, without_spans(&e.node)));
            format!("{:?}", entries.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn values_know_line_and_column_in_characters() {
    let document = Document::parse("p.json", "{\n \"ä\": \"ö\", \"b\": \"x\" }").unwrap();
    assert_eq!(text("b", &document), ("x".into(), "p.json:2:17".into()));
    let document = Document::parse("p.toml", "\n\nb = 'x'").unwrap();
    assert_eq!(text("b", &document), ("x".into(), "p.toml:3:5".into()));
}

#[test]
fn what_is_no_document_is_an_error_with_a_position() {
    let deep = "[".repeat(100_000);
    for (file, text, expected) in [
        (
            "p.json",
            "",
            "p.json:1:1: error: not JSON: the file is empty",
        ),
        ("p.json", "{ \"a\": 1, }", "p.json:1:9: error: not JSON"),
        (
            "p.json",
            "{ \"a\": 1,\n \"a\": 2 }",
            "p.json:2:2: error: key \"a\" stands twice",
        ),
        ("p.json", "{ a: 1 }", "p.json:1:3: error: not JSON"),
        ("p.json", &deep, "error: not JSON"),
        (
            "p.toml",
            "a = 1\na = 2",
            "p.toml:2:1: error: not TOML: duplicate key",
        ),
        ("p.toml", "a = ", "p.toml:1:5: error: not TOML"),
    ] {
        let error = Document::parse(file, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
    let long = format!("\"{}\"", "x".repeat(MAX_SIZE));
    assert!(Document::parse("p.json", &long).is_err());
}

#[test]
fn what_asks_for_nothing_is_recognised() {
    let nothing = |text: &str| {
        Document::parse("p.json", text)
            .unwrap()
            .root
            .value
            .is_nothing()
    };
    for text in ["null", "[]", "{}", "false", "\"\"", "{\"a\": {\"b\": []}}"] {
        assert!(nothing(text), "{text}");
    }
    for text in ["true", "[0]", "0", "\"x\"", "{\"a\": {\"b\": [1]}}"] {
        assert!(!nothing(text), "{text}");
    }
}
