//! Texts and the values read from them, and invalid texts.

mod includes;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use hookhost_settings::{JsonDates, Value};
use std::io;

fn variable(name: &str) -> Option<String> {
    (name == "HOOK_HOST").then(|| "example.com".to_owned())
}

/// What was read of a text that may include files.
struct Hocon {
    table: Table,
    /// File, line and text.
    errors: Vec<(String, usize, String)>,
    warnings: Vec<(String, usize, String)>,
    included: Vec<String>,
}

fn read(text: &str) -> Hocon {
    read_with(text, &[])
}

fn read_with(text: &str, files: &[(&str, &str)]) -> Hocon {
    let files = |path: &Path| {
        let file = files.iter().find(|(known, _)| Path::new(known) == path);
        let text = file.map(|(_, text)| text.as_bytes().to_vec());
        text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let mut includes = Includes::of(Path::new("etc/f"), &files);
    let (table, errors) = super::read(text, &mut includes, &variable);
    let name = |at: &At| includes.paths[at.file].display().to_string();
    let shown = |list: &[(At, String)]| {
        list.iter()
            .map(|(at, text)| (name(at), at.line, text.clone()))
            .collect()
    };
    Hocon {
        table,
        errors: shown(&errors),
        warnings: shown(&includes.warnings),
        included: includes.included().map(|path| path.display().to_string()).collect(),
    }
}

fn json_of(table: Table) -> Json {
    json(&Setting::new(Place::flag(""), Value::Table(table)))
}

fn json(setting: &Setting) -> Json {
    setting.to_json(&Report::default(), JsonDates::Invalid)
}

#[test]
fn what_is_written_is_what_is_read() {
    let cases = [
        ("", json!({})),
        (
            "a = 1\nb: two words  # why\n// c = 1\nd = true",
            json!({"a": 1, "b": "two words", "d": true}),
        ),
        (
            "{\"a\": [1, 2.5, \"x\"], \"b\": {\"c\": null}}",
            json!({"a": [1, 2.5, "x"], "b": {}}),
        ),
        (
            "a.b.c = 1, a { b.d = 2 }\na.b.c = 3",
            json!({"a": {"b": {"c": 3, "d": 2}}}),
        ),
        ("a {\n  b = 1\n}\na = 2", json!({"a": 2})),
        ("\"a.b\".\"$x\" = 1", json!({"a.b": {"$x": 1}})),
        ("a = [\n 1\n 2, 3,\n]\na += 4", json!({"a": [1, 2, 3, 4]})),
        ("a += 1", json!({"a": [1]})),
        ("url = http://h:80/p?q=1#no", json!({"url": "http://h:80/p?q=1"})),
        (
            "t = 45s // half\ns = 256MB\nn = -2.5\nv = 1.2.3",
            json!({"t": "45s", "s": "256MB", "n": -2.5, "v": "1.2.3"}),
        ),
        (
            "a = 007\nb = 1.0\nc = -3e2\nd = +1\ne = -7\nf = 0",
            json!({"a": "007", "b": "1.0", "c": "-3e2", "d": "+1", "e": -7, "f": 0}),
        ),
        (r#"a = "q\"\\\/\n\u00e9\ud83d\ude00""#, json!({"a": "q\"\\/\né😀"})),
        (
            "a = \"\"\"x \"y\" \\n\nz\"\"\"\"\nb = 1",
            json!({"a": "x \"y\" \\n\nz\"", "b": 1}),
        ),
        (
            "a = \"\"\"~\n    one\n      two\n\n    three~\"\"\"",
            json!({"a": "one\n  two\n\nthree"}),
        ),
        (
            "h = h1\nu = \"http://\"${h}\"/x\"",
            json!({"h": "h1", "u": "http://h1/x"}),
        ),
        ("u = \"http://\"${HOOK_HOST}/x", json!({"u": "http://example.com/x"})),
        (
            "a = 1\na = ${?NOPE}\nb = ${?NOPE}\nc = x ${?NOPE} y",
            json!({"a": 1, "c": "x  y"}),
        ),
        (
            "base { a = 1, b { c = 2 } }\nx = ${base} { b { d = 3 } }\ny = ${base.b}",
            json!({
            "base": {"a": 1, "b": {"c": 2}}, "x": {"a": 1, "b": {"c": 2, "d": 3}}, "y": {"c": 2}}),
        ),
        (
            "x { k = 1 }\nx = ${y}\ny { l = 2 }",
            json!({"x": {"k": 1, "l": 2}, "y": {"l": 2}}),
        ),
        ("a = x\nl = [${a}, ${?no}]", json!({"a": "x", "l": ["x"]})),
        ("p = [1]\np = ${p} [2]\np = ${p}[3]", json!({"p": [1, 2, 3]})),
        (
            "a = ${b.c}\nb = ${d}\nd { c = 7 }",
            json!({"a": 7, "b": {"c": 7}, "d": {"c": 7}}),
        ),
        ("a { l = [1]\n l += 2 }", json!({"a": {"l": [1, 2]}})),
        ("a.1 = x\na.2 = y", json!({"a": {"1": "x", "2": "y"}})),
        ("a = [x, y]\na.2 = z", json!({"a": {"1": "x", "2": "z"}})),
        ("a = [{ b = 1 }]\na.1.c = 2", json!({"a": {"1": {"b": 1, "c": 2}}})),
        ("a = [x]\na.k = y", json!({"a": {"k": "y"}})),
        ("a = [{ x = 1 } { y = 2 }]", json!({"a": [{"x": 1, "y": 2}]})),
        ("\u{feff}a = 1\r\nb = two\r\n", json!({"a": 1, "b": "two"})),
        (
            "actions = [http:one, \"http:two\"]",
            json!({"actions": ["http:one", "http:two"]}),
        ),
        (
            "l = [\n url = \"u\"\n h.x = 1\n\n { e = 1 }\n { e = 2 }\n]",
            json!({"l": [{"url": "u", "h": {"x": 1}}, {"e": 1}, {"e": 2}]}),
        ),
        (
            "l = [\n { e = 1 }\n tls { a = 1 }\n]",
            json!({"l": [{"e": 1}, {"tls": {"a": 1}}]}),
        ),
    ];
    for (text, expected) in cases {
        let hocon = read(text);
        assert_eq!(hocon.errors, [], "{text}");
        assert_eq!(json_of(hocon.table), expected, "{text}");
    }
}

#[test]
fn mistakes_come_with_their_lines_and_all_at_once() {
    let cases: [(&str, &[(usize, &str)]); 15] = [
        (
            "a = 1\nb\nc = [1\n",
            &[(2, "b: = or { is missing after the key"), (3, "this [ is never closed")],
        ),
        ("a {\n b = 1\n", &[(1, "this { is never closed")]),
        (
            "a = 1 }\nb = }\n",
            &[(1, "} closes nothing"), (2, "a value is missing")],
        ),
        (
            "a = \"x\nb = 1\nc = \"\"\"",
            &[
                (1, "a string is never closed"),
                (3, "a string in three quotes is never closed"),
            ],
        ),
        (
            "a = \"\\x\"",
            &[(
                1,
                "a string has an unknown escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u are known",
            )],
        ),
        ("a = \"\\ud800x\"", &[(1, "\\u gives half a character")]),
        ("a = \"\\u12\"", &[(1, "\\u needs four hexadecimal digits")]),
        ("= 1", &[(1, "a key was expected")]),
        ("a..b = 1", &[(1, "a key was expected")]),
        (
            "\n\na = ${nope}",
            &[(
                3,
                "${nope} is defined neither in this file nor in the environment; ${?nope} may be undefined",
            )],
        ),
        (
            "a = [1] x",
            &[(1, "strings, lists and objects cannot be joined with each other")],
        ),
        ("a = ${b", &[(1, "${ needs a path and a } after it")]),
        ("a = { b = 1 } }", &[(1, "} closes nothing")]),
        ("{ a = 1 }\nb = 1", &[(2, "text after the last }")]),
        (
            "a = [\n b = 1\n ,}\n]",
            &[(3, "} closes nothing"), (4, "] closes nothing")],
        ),
    ];
    for (text, expected) in cases {
        let errors = read(text).errors;
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, text)| ("etc/f".to_owned(), *line, (*text).to_owned()))
            .collect();
        assert_eq!(errors, expected, "{text}");
    }
}

#[test]
fn circles_are_told() {
    let errors = read("a = ${b}\nb = ${a}\nc = ${c}").errors;
    let circles = errors.iter().filter(|(_, _, text)| text.contains("refers to itself"));
    assert_eq!(
        circles.map(|(_, line, _)| *line).collect::<Vec<_>>(),
        [1, 2],
        "{errors:?}"
    );
    assert!(
        errors
            .iter()
            .any(|(_, line, text)| *line == 3 && text.contains("${c} is defined neither")),
        "{errors:?}"
    );
}

#[test]
fn values_know_their_lines() {
    let hocon = read("a {\n  b = [\n    x\n    {\n c = 1 }\n  ]\n}\n");
    let Value::Table(a) = &hocon.table["a"].value else {
        panic!("a table")
    };
    let line = |setting: &Setting| setting.place.to_string();
    assert_eq!(
        (line(&hocon.table["a"]), line(&a["b"])),
        ("etc/f:1: a".into(), "etc/f:2: a.b".into())
    );
    let Value::List(list) = &a["b"].value else {
        panic!("a list")
    };
    assert_eq!(
        list.iter().map(line).collect::<Vec<_>>(),
        ["etc/f:3: a.b[0]", "etc/f:4: a.b[1]"]
    );
    let long = read("s = \"\"\"\n\n\"\"\"\nb = 1");
    assert_eq!(line(&long.table["b"]), "etc/f:4: b");
}

#[test]
fn what_would_be_deep_or_huge_is_refused() {
    let many = |piece: &str, times: usize| piece.repeat(times);
    let laughs: String = (0..40)
        .map(|at| format!("a{at} = [${{a{}}}, ${{a{}}}]\n", at + 1, at + 1))
        .collect();
    let chain: String = (0..10_000).map(|at| format!("a{at} = ${{a{}}}\n", at + 1)).collect();
    let mut long = "b0 = xxxxxxxxxxxxxxxx\n".to_owned();
    long.extend((1..40).map(|at| format!("b{at} = ${{b{}}}${{b{}}}\n", at - 1, at - 1)));
    for text in [
        many("a {", 100_000),
        format!("a = {}", many("[", 100_000)),
        format!("{}a = 1", many("a.", 100_000)),
        format!("{laughs}a40 = 1"),
        format!("{chain}a10000 = 1"),
        many("a = ${?a} 1\n", 10_000),
        long,
        many("}", 100_000),
    ] {
        assert!(!read(&text).errors.is_empty(), "{}", text.get(..30).unwrap_or_default());
    }
}

#[test]
fn a_long_file_is_read() {
    let text: String = (0..250_000).map(|at| format!("a{at} = {at}\n")).collect();
    let read = read(&text);
    assert_eq!((read.errors, read.table.len()), (Vec::new(), 250_000));
}

#[test]
fn values_of_variables() {
    let cases = [
        ("15s", None),
        ("15", Some(json!(15))),
        ("true", Some(json!(true))),
        ("{\"x-token\"=\"a\"}", Some(json!({"x-token": "a"}))),
        ("[\"http:a1\"]", Some(json!(["http:a1"]))),
        ("\"quoted\"", Some(json!("quoted"))),
        ("SELECT * FROM \"t/#\"", None),
        ("http://h/{", None),
        ("{", None),
        ("", None),
    ];
    for (text, expected) in cases {
        let value = read_value(&Place::variable("V"), text);
        let value = value.filter(|setting| text == "15" || !matches!(&setting.value, Value::Untyped(t) if t == text));
        assert_eq!(value.as_ref().map(json), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c.=:{}\\[\\]\"$?,+#/~ \\n\\\\u0-9é]{0,80}") {
        read(&text);
        read_value(&Place::variable("V"), &text);
    }

    #[test]
    fn json_is_hocon(value in json_value()) {
        let text = json!({"v": value.clone()}).to_string();
        let hocon = read(&text);
        prop_assert_eq!(&hocon.errors, &[]);
        prop_assert_eq!(json_of(hocon.table), json!({"v": value}));
    }
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(".{1,6}", inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}
