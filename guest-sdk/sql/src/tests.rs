//! Clauses and statements: tables of what they give, of what is refused, and of what never happens.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// Columns out of a JSON object.
struct Table(Json);

impl Columns for Table {
    fn get(&self, name: &str) -> Value<'_> {
        self.0.get(name).map_or(Value::Undefined, Value::from)
    }

    fn all(&self) -> Vec<(Cow<'_, str>, Value<'_>)> {
        let object = self.0.as_object().into_iter().flatten();
        object
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::from(value)))
            .collect()
    }
}

fn table(payload: &str) -> Table {
    Table(json!({
        "clientid": "c1",
        "username": "u1",
        "topic": "t/1",
        "qos": 1,
        "payload": payload,
        "flags": {"retain": true, "dup": false},
        "pub_props": {"User-Property": {"k": "v"}, "Content-Type": "text/plain"},
    }))
}

const PAYLOAD: &str = r#"{"a": 1, "f": 1.5, "s": "x", "n": "42", "b": true, "z": null, "o": {"b": {"c": 7}, "a": 1},
    "list": [10, {"x": "y"}, [30]], "json": "{\"in\": {\"side\": 5}}", "big": 18446744073709551615, "häh": "ü",
    "a-b": 2, "7": "seven"}"#;

fn selected(clause: &str, payload: &str) -> String {
    let table = table(payload);
    let select = Select::parse(clause).unwrap();
    let scope = Scope::new(&table);
    let mut out = String::new();
    match scope.select(&select) {
        Ok(value) => value.push(&mut out),
        Err(failure) => out = failure.to_string(),
    }
    out
}

#[test]
fn select() {
    for (clause, expected) in [
        ("clientid", r#"{"clientid":"c1"}"#),
        ("topic, clientid, qos", r#"{"topic":"t/1","qos":1,"clientid":"c1"}"#),
        ("clientid as id, qos q, topic \"t\"", r#"{"t":"t/1","q":1,"id":"c1"}"#),
        ("clientid AS id", r#"{"id":"c1"}"#),
        ("payload.a", r#"{"payload":{"a":1}}"#),
        ("payload.a, payload.s", r#"{"payload":{"s":"x","a":1}}"#),
        ("payload.a as x.y, payload.s as x.z", r#"{"x":{"z":"x","y":1}}"#),
        ("payload.o as o", r#"{"o":{"b":{"c":7},"a":1}}"#),
        ("payload.o.b.c as c", r#"{"c":7}"#),
        (
            "payload.list[1] as one, payload.list[-1][1] as last",
            r#"{"one":10,"last":30}"#,
        ),
        (
            "payload.list[2].x as x, payload.list[4] as no, payload.list[0] as none",
            r#"{"x":"y","none":"undefined","no":"undefined"}"#,
        ),
        ("payload.json.in.side as s", r#"{"s":5}"#),
        (
            "payload.häh as h, payload.'a-b' as ab, payload.\"s\" as s, payload.7 as seven",
            r#"{"seven":"seven","s":"x","h":"ü","ab":2}"#,
        ),
        (
            "payload.z as z, payload.b as b, payload.f as f, payload.big as big",
            r#"{"z":null,"f":1.5,"big":18446744073709551615,"b":true}"#,
        ),
        // Missing ones are told.
        (
            "payload.nothing as x, nobody, clientid.x as y",
            r#"{"y":"undefined","x":"undefined","nobody":"undefined"}"#,
        ),
        (
            "flags.retain, pub_props.'Content-Type' as type",
            r#"{"type":"text/plain","flags":{"retain":true}}"#,
        ),
        // Constants.
        (
            "'it''s' as s, 1 as i, -1.5 as f, +2 as p, 1e3 as e, true as t, FALSE as n",
            r#"{"t":true,"s":"it's","p":2,"n":false,"i":1,"f":-1.5,"e":1000.0}"#,
        ),
        ("'x'", r#"{"x":"x"}"#),
        // What was selected before goes first.
        ("qos as topic, topic as t", r#"{"topic":1,"t":1}"#),
        (
            "payload.a as payload.x, payload.x as y, payload.s as s",
            r#"{"y":1,"s":"x","payload":{"x":1}}"#,
        ),
        ("clientid -- who\n, qos", r#"{"qos":1,"clientid":"c1"}"#),
    ] {
        assert_eq!(selected(clause, PAYLOAD), expected, "{clause}");
    }
    assert_eq!(
        selected("*, payload.a as a", r#"{"a":1}"#),
        r#"{"username":"u1","topic":"t/1","qos":1,"pub_props":{"User-Property":{"k":"v"},"Content-Type":"text/plain"},"payload":"{\"a\":1}","flags":{"retain":true,"dup":false},"clientid":"c1","a":1}"#
    );
    assert!(Select::parse(" * ").unwrap().is_everything());
    assert!(!Select::parse("*, 1 as x").unwrap().is_everything());
}

#[test]
fn a_payload_that_is_no_json_has_nothing_inside() {
    for payload in ["", "21.5 °C", "{"] {
        assert_eq!(
            selected("payload.a as a", payload),
            "a field inside the payload is asked for, and the payload is no JSON"
        );
        assert_eq!(selected("clientid", payload), r#"{"clientid":"c1"}"#);
    }
    // These are JSON without fields.
    for payload in ["21.5", "null", "[]", "\"x\""] {
        assert_eq!(selected("payload.a as a", payload), r#"{"a":"undefined"}"#, "{payload}");
    }
}

fn holds(clause: &str) -> Result<bool, Failure> {
    let table = table(PAYLOAD);
    Scope::new(&table).holds(&Condition::parse(clause).unwrap(), None)
}

#[test]
fn conditions() {
    for (clause, expected) in [
        ("qos = 1", true),
        ("qos != 1", false),
        ("qos <> 2", true),
        ("qos > 0 and qos < 2", true),
        ("qos >= 1 and qos <= 1", true),
        ("1 = 1.0", true),
        ("payload.f > payload.a", true),
        ("payload.big > 18446744073709551614", true),
        ("payload.a > -5", true),
        // A text that meets a number is read as one.
        ("qos = '1'", true),
        ("payload.n > 41", true),
        ("payload.n = '42.0'", false),
        ("'1.50' = 1.5", true),
        // Texts compare as texts.
        ("'10' < '9'", true),
        ("clientid = 'c1'", true),
        ("clientid < 'c2'", true),
        // True, false and null are texts to a text.
        ("payload.b = true", true),
        ("payload.b = 'true'", true),
        ("flags.retain", true),
        ("not flags.dup", true),
        ("not flags.retain", false),
        ("not clientid", false),
        ("clientid", false),
        ("payload.z = 'null'", true),
        ("payload.z != 'x'", true),
        // Kinds that have nothing in common: numbers, truths, objects, lists, texts.
        ("payload.a < true", true),
        ("payload.list < 'x'", true),
        ("payload.o < payload.list", true),
        ("payload.o = payload.o", true),
        ("payload.a = payload.o", false),
        // Missing ones are equal to each other, and nothing else is true of them.
        ("nobody = nothing", true),
        ("nobody != nothing", false),
        ("nobody < nothing", false),
        ("nobody >= nothing", true),
        ("nobody = 1", false),
        ("nobody != 1", false),
        ("nobody != 'x'", false),
        ("not nobody = 1", true),
        ("payload.x = 'undefined'", false),
        // Topics.
        ("topic =~ 't/#'", true),
        ("topic =~ 't/+'", true),
        ("topic =~ 'x/#'", false),
        ("topic =~ 't/#/x'", false),
        ("nobody =~ 't/#'", false),
        // What binds how.
        ("qos = 1 or qos = 2 and qos = 3", true),
        ("(qos = 1 or qos = 2) and qos = 3", false),
        ("not qos = 2 and qos = 1", true),
        ("NOT (qos = 1 AND topic = 't/1') OR clientid = 'c1'", true),
        ("not not qos = 1", true),
        ("qos = 1 -- a comment\n and true = true", true),
    ] {
        assert_eq!(holds(clause), Ok(expected), "{clause}");
    }
}

#[test]
fn conditions_that_fail() {
    for (clause, failure) in [
        ("clientid > 1", Failure::NotANumber("c1".into())),
        ("1 = ' 1'", Failure::NotANumber(" 1".into())),
        ("qos = '1e3'", Failure::NotANumber("1e3".into())),
        ("qos =~ 't'", Failure::NotATopic),
        ("qos = 1 and clientid > 1", Failure::NotANumber("c1".into())),
    ] {
        assert_eq!(holds(clause), Err(failure), "{clause}");
    }
    // What has been decided is not looked at.
    assert_eq!(holds("qos = 1 or clientid > 1"), Ok(true));
    assert_eq!(holds("qos = 2 and clientid > 1"), Ok(false));
}

#[test]
fn conditions_know_what_was_selected() {
    let table = table(PAYLOAD);
    let scope = Scope::new(&table);
    let select = Select::parse("payload.a as t, payload.o.a").unwrap();
    let selected = scope.select(&select).unwrap();
    for (clause, expected) in [
        ("t = 1", true),
        ("t = 2", false),
        ("payload.o.a = 1 and payload.s = 'x' and qos = 1", true),
    ] {
        let condition = Condition::parse(clause).unwrap();
        assert_eq!(scope.holds(&condition, Some(&selected)), Ok(expected), "{clause}");
    }
}

#[test]
fn mistakes_in_select() {
    for (clause, expected) in [
        ("", "`>>><<<`: a column, a number or a 'text' was expected"),
        ("a,", "`a,>>><<<`: a column, a number or a 'text' was expected"),
        ("a b c", "`a b >>>c<<<`: `,` or the end of the clause was expected"),
        ("a as", "`a as>>><<<`: a name was expected"),
        ("a as 'x'", "`a as >>>'x'<<<`: a name was expected"),
        (
            "a as x[1]",
            "`>>>a<<< as x[1]`: a name with [ ] after `as` is not supported",
        ),
        (
            "payload.x[1]",
            "`>>>payload<<<.x[1]`: needs a name: write `as NAME` after it",
        ),
        ("1", "`>>>1<<<`: needs a name: write `as NAME` after it"),
        (
            "payload..x",
            "`payload>>>..<<<x`: lists and ranges are not supported; …",
        ),
        ("payload.", "`payload.>>><<<`: a name was expected after the dot"),
        (
            "x[a] as y",
            "`x[>>>a<<<] as y`: only a whole number is supported as an index; the first one is 1, the last one -1",
        ),
        ("'abc", "`>>>'abc<<<`: ' is not closed"),
        ("a # b", "`a >>>#<<< b`: this character has no meaning here"),
        ("lower(a) as b", "`>>>lower<<<(a) as b`: functions are not supported; …"),
        (
            "payload.a + 1 as b",
            "`payload.a >>>+<<< 1 as b`: arithmetic is not supported; …",
        ),
        ("payload.a * 2", "`payload.a >>>*<<< 2`: arithmetic is not supported; …"),
        (
            "payload.a-b",
            "`payload.a>>>-<<<b`: arithmetic is not supported (a name with a hyphen is written payload.'a-b'); …",
        ),
        ("a div 2", "`a >>>div<<< 2`: arithmetic is not supported; …"),
        ("-a", "`>>>-<<<a`: arithmetic is not supported; …"),
        ("a = b", "`a >>>=<<< b`: a comparison in SELECT is not supported; …"),
        (
            "CASE WHEN a THEN b END",
            "`>>>CASE<<< WHEN a THEN b END`: CASE is not supported; …",
        ),
        (
            "[1..3] as a",
            "`>>>[<<<1..3] as a`: lists and ranges are not supported; …",
        ),
        ("(a)", "`>>>(<<<a)`: parentheses are not supported here; …"),
    ] {
        let error = Select::parse(clause).unwrap_err().to_string();
        assert!(error.starts_with(expected.trim_end_matches('…')), "{clause}: {error}");
        assert_eq!(expected.ends_with('…'), error.contains("; supported are *"), "{error}");
    }
}

#[test]
fn mistakes_in_where() {
    for (clause, expected) in [
        ("", "`>>><<<`: a column, a number or a 'text' was expected"),
        ("qos = ", "`qos =>>><<<`: a column, a number or a 'text' was expected"),
        (
            "qos = 1 and",
            "`qos = 1 and>>><<<`: a column, a number or a 'text' was expected",
        ),
        (
            "qos = 1 qos = 2",
            "`qos = 1 >>>qos<<< = 2`: `and`, `or` or the end of the clause was expected",
        ),
        ("(qos = 1", "`(qos = 1>>><<<`: `and`, `or` or `)` was expected"),
        (
            "qos = 1)",
            "`qos = 1>>>)<<<`: `and`, `or` or the end of the clause was expected",
        ),
        (
            "a = b = c",
            "`a = b >>>=<<< c`: comparisons do not follow each other: join them with `and`",
        ),
        ("qos + 1 = 2", "`qos >>>+<<< 1 = 2`: arithmetic is not supported; …"),
        ("2 = qos + 1", "`2 = qos >>>+<<< 1`: arithmetic is not supported; …"),
        ("is_null(a)", "`>>>is_null<<<(a)`: functions are not supported; …"),
        ("qos in (1, 2)", "`qos >>>in<<< (1, 2)`: IN is not supported; …"),
        (
            "where qos = 1",
            "`>>>where<<< qos = 1`: a column, a number or a 'text' was expected",
        ),
        (
            "qos = 1.",
            "`qos = 1>>>.<<<`: `and`, `or` or the end of the clause was expected",
        ),
    ] {
        let error = Condition::parse(clause).unwrap_err().to_string();
        assert!(error.starts_with(expected.trim_end_matches('…')), "{clause}: {error}");
        if expected.ends_with("; …") {
            assert!(error.contains("; supported are comparisons"), "{error}");
        }
    }
    let deep = format!("{}a{}", "(".repeat(500), ")".repeat(500));
    let error = Condition::parse(&deep).unwrap_err();
    assert_eq!(error.what(), "more than 64 parentheses and `not` inside each other");
    assert!(Condition::parse(&"not ".repeat(5000)).is_err());
    assert!(Condition::parse(&"a = 1 and ".repeat(5000)).is_err());
    assert!(Condition::parse(&format!("{}a = 1", "a = 1 or ".repeat(5000))).is_ok());
}

#[test]
fn a_long_text_is_quoted_around_the_place() {
    let text = format!("{}lower(ü), {}", "größe, ".repeat(20), "länge, ".repeat(20));
    let error = Select::parse(&text).unwrap_err().to_string();
    assert!(error.len() < 400, "{error}");
    assert!(error.contains(">>>lower<<<(ü)"), "{error}");
    let error = Select::parse("a,\n\n   b,\n   lower(c)").unwrap_err().to_string();
    assert!(error.starts_with("`a, b, >>>lower<<<(c)`"), "{error}");
}

#[test]
fn statements_are_taken_apart() {
    for (text, select, from, condition) in [
        (r##"SELECT * FROM "#""##, "*", &["#"][..], None),
        (
            "select\n  payload.t as temp,\n  clientid\nfrom\n  \"sensors/+/temp\"\nwhere payload.t > 30 and topic =~ 'sensors/#'\n",
            "payload.t as temp,\n  clientid",
            &["sensors/+/temp"],
            Some("payload.t > 30 and topic =~ 'sensors/#'"),
        ),
        (
            r#"SELECT clientid FROM "a", "b/#" , t1"#,
            "clientid",
            &["a", "b/#", "t1"],
            None,
        ),
        (r#"SELECT a FROM "x" WHERE (qos = 1);"#, "a", &["x"], Some("(qos = 1)")),
        (
            r##"SELECT 'a from b' as x FROM "say ""hi""""##,
            "'a from b' as x",
            &["say \"hi\""],
            None,
        ),
        (
            r#"SELECT payload.from, payload.where FROM "t""#,
            "payload.from, payload.where",
            &["t"],
            None,
        ),
    ] {
        let statement = Statement::parse(text).unwrap();
        assert_eq!(
            (&*statement.select, statement.condition.as_deref()),
            (select, condition),
            "{text}"
        );
        assert_eq!(statement.from, from, "{text}");
    }
}

#[test]
fn mistakes_in_statements() {
    for (text, expected) in [
        ("", "`>>><<<`: SELECT was expected"),
        (
            "FOREACH a FROM \"t\"",
            "`>>>FOREACH<<< a FROM \"t\"`: FOREACH is not supported; SELECT … FROM … WHERE … is",
        ),
        ("DELETE x", "`>>>DELETE<<< x`: SELECT was expected"),
        ("SELECT *", "`SELECT *>>><<<`: `,` or FROM was expected"),
        (
            "SELECT * FROM",
            "`SELECT * FROM>>><<<`: a topic filter or an event topic in double quotes",
        ),
        (
            "SELECT * FROM 't'",
            "`SELECT * FROM >>>'t'<<<`: a topic filter or an event topic in double quotes",
        ),
        (
            "SELECT * FROM a/b",
            "`SELECT * FROM a>>>/<<<b`: arithmetic is not supported",
        ),
        (
            "SELECT * FROM \"a\" \"b\"",
            "`SELECT * FROM \"a\" >>>\"b\"<<<`: `,`, WHERE or the end of the statement",
        ),
        (
            "SELECT * FROM \"a\" WHERE qos = 1 LIMIT 1",
            "`SELECT * FROM \"a\" WHERE qos = 1 >>>LIMIT<<< 1`: `and`, `or` or the end",
        ),
        (
            "SELECT max(a) FROM \"a\"",
            "`SELECT >>>max<<<(a) FROM \"a\"`: functions are not supported",
        ),
    ] {
        let error = Statement::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,60}") {
        drop((Statement::parse(&text), Select::parse(&text), Condition::parse(&text)));
    }

    /// Pieces of SQL in any order: whatever is taken is also evaluated.
    #[test]
    fn pieces_in_any_order(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "SELECT", "FROM", "WHERE", "and", "or", "not", "as", "*", ",", ".", "(", ")", "[", "]", "=", "!=", "<", "=~",
                "-", "payload", "payload.a", "topic", "'x'", "\"y\"", "1", "2.5", "true", "-- c\n", "ü", "in", "..", "'",
            ]),
            0..14,
        ),
        payload in prop_oneof![Just(PAYLOAD.to_owned()), Just("no".to_owned())],
    ) {
        let text = pieces.join(" ");
        let table = table(&payload);
        let scope = Scope::new(&table);
        if let Ok(select) = Select::parse(&text)
            && let Ok(value) = scope.select(&select)
        {
            let mut out = String::new();
            value.push(&mut out);
            prop_assert!(serde_json::from_str::<Json>(&out).is_ok());
        }
        if let Ok(condition) = Condition::parse(&text) {
            // True, false or a failure: anything but a panic.
            drop(scope.holds(&condition, None));
        }
        if let Ok(statement) = Statement::parse(&text) {
            prop_assert!(Select::parse(&statement.select).is_ok());
            prop_assert!(statement.condition.is_none_or(|condition| Condition::parse(&condition).is_ok()));
        }
    }
}
