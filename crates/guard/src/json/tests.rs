use super::*;

const KNOWN: [&str; 3] = ["args", "process", "linux"];

#[test]
fn what_is_not_replaced_keeps_its_text() {
    let text = r#"{ "a" : 1.0e+2 , "args":[ "\u0041" ],"z":{"y":  18446744073709551616} }"#;
    let mut object = Object::of_struct(text, &KNOWN).unwrap();
    assert_eq!(
        object.to_string(),
        r#"{"a":1.0e+2,"args":[ "\u0041" ],"z":{"y":  18446744073709551616}}"#
    );
    object.set("args", "[]".to_owned());
    object.set("new", "0".to_owned());
    assert_eq!(
        object.to_string(),
        r#"{"a":1.0e+2,"args":[],"z":{"y":  18446744073709551616},"new":0}"#
    );
}

#[test]
fn objects_that_can_be_read_in_two_ways_are_refused() {
    for text in [
        r#"{"args":1,"args":2}"#,
        r#"{"x":1,"X":2}"#,
        r#"{"args":1,"Args":2}"#,
        r#"{"Args":1}"#,
        r#"{"\u0041rgs":1}"#,
        r#"{"arg\u017f":1}"#,
        r#"{"args":1,"argſ":2}"#,
        r#"{"linux":1,"LINUX":null}"#,
    ] {
        let error = Object::of_struct(text, &KNOWN).unwrap_err();
        assert!(
            matches!(error, JsonError::Twice(_) | JsonError::Misspelled { .. }),
            "{text}: {error}"
        );
    }
    let kelvin = Object::of_struct("{\"\u{212a}ey\":1}", &["key"]);
    assert!(matches!(kelvin, Err(JsonError::Misspelled { .. })));
}

#[test]
fn names_that_are_data_may_differ_in_case() {
    let map = Object::of_map(r#"{"a":"1","A":"2"}"#).unwrap();
    assert_eq!(map.get::<String>("A").unwrap().as_deref(), Some("2"));
    assert!(matches!(
        Object::of_map(r#"{"a":"1","b":"","a":"2"}"#),
        Err(JsonError::Twice(name)) if name == "a"
    ));
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["", "[]", "1", "{", "{} {}", "{}x", r#"{"a"}"#, "\u{feff}{}"] {
        assert!(
            matches!(Object::of_struct(text, &[]), Err(JsonError::Syntax(_))),
            "{text:?}"
        );
    }
}

#[test]
fn null_counts_as_missing() {
    let object = Object::of_struct(r#"{"a":null,"b":3}"#, &[]).unwrap();
    assert_eq!(object.get::<u32>("a").unwrap(), None);
    assert_eq!(object.get::<u32>("b").unwrap(), Some(3));
    assert!(object.get::<String>("b").is_err());
}

#[test]
fn arrays_keep_the_text_of_their_elements() {
    let text = r#"[ "a" , {"x": 1} ,"\u00e9"]"#;
    let parts = elements("args", text).unwrap();
    assert_eq!(parts, [r#""a""#, r#"{"x": 1}"#, r#""\u00e9""#]);
    assert_eq!(array(parts), r#"["a",{"x": 1},"\u00e9"]"#);
    assert!(elements("args", "{}").is_err());
    assert_eq!(string("a\"\n"), r#""a\"\n""#);
}

#[test]
fn nul_is_found_however_it_is_written() {
    for text in [r#""\u0000""#, r#""a\u0000b""#, r#""\\\u0000""#] {
        assert!(matches!(check_no_nul(text), Err(JsonError::Nul)), "{text}");
    }
    for text in [
        r#""\\u0000""#,
        r#""\u00001""#.replace("\\u00001", "\\u0001").as_str(),
        r#""u0000""#,
    ] {
        assert!(check_no_nul(text).is_ok(), "{text}");
    }
}
