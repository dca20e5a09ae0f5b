//! The results of clauses and conditions, and properties of all texts.

mod syntax;

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// A clock that stands still, no chance, and no tables.
struct Still;

impl System for Still {
    fn now_ns(&self) -> i128 {
        1_790_000_001_002_000_000
    }

    fn local_offset(&self) -> i32 {
        0
    }

    fn random(&self) -> u64 {
        0
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn get(&self, _: Table, _: &Value<'_>) -> Option<Value<'static>> {
        None
    }

    fn put(&self, _: Table, _: &Value<'_>, _: Option<Value<'static>>) {}
}

/// Columns out of a JSON object.
struct Row(Json);

impl Columns for Row {
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

fn table(payload: &str) -> Row {
    Row(json!({
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
    bodies(clause, None, payload).unwrap_or_else(|failure| failure.to_string())
}

/// The bodies of a rule, one for each line.
fn bodies(select: &str, condition: Option<&str>, payload: &str) -> Result<String, Failure> {
    let table = table(payload);
    let select = Select::parse(select).unwrap();
    let condition = condition.map(|clause| Condition::parse(clause).unwrap());
    let scope = Scope::new(&table, &Still);
    Ok(match scope.evaluate(Some(&select), condition.as_ref())? {
        Selected::Nothing => String::new(),
        Selected::Everything => "everything".to_owned(),
        Selected::Bodies(bodies) => bodies.iter().map(Value::to_json).collect::<Vec<_>>().join("\n"),
    })
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
        ("payload.json.'in'.side as s", r#"{"s":5}"#),
        (
            "payload.'häh' as h, payload.'a-b' as ab, payload.\"s\" as s, payload.7 as seven",
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
            "'it''s' as s, 1 as i, -1.5 as f, + 2 as p, 1.0e3 as e, true as t, FALSE as n",
            r#"{"t":true,"s":"it''s","p":2,"n":false,"i":1,"f":-1.5,"e":1000.0}"#,
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
    // Given names come before columns.
    assert_eq!(
        selected("*, payload.a as a, 1 as z", r#"{"a":1}"#),
        r#"{"z":1,"a":1,"username":"u1","topic":"t/1","qos":1,"pub_props":{"User-Property":{"k":"v"},"Content-Type":"text/plain"},"payload":"{\"a\":1}","flags":{"retain":true,"dup":false},"clientid":"c1"}"#
    );
    assert!(Select::parse(" * ").unwrap().is_everything());
    assert!(!Select::parse("*, 1 as x").unwrap().is_everything());
}

#[test]
fn a_payload_that_is_no_json_has_nothing_inside() {
    for payload in ["", "21.5 °C", "{"] {
        assert_eq!(
            selected("payload.a as a", payload),
            "the rule uses a field of the payload, and the payload is not JSON"
        );
        assert_eq!(selected("clientid", payload), r#"{"clientid":"c1"}"#);
    }
    // These are JSON without fields.
    for payload in ["21.5", "null", "[]", "\"x\""] {
        assert_eq!(selected("payload.a as a", payload), r#"{"a":"undefined"}"#, "{payload}");
    }
}

fn holds(clause: &str) -> Result<bool, Failure> {
    Ok(!bodies("1 as x", Some(clause), PAYLOAD)?.is_empty())
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
        ("not flags.dup", true),
        ("not flags.retain", false),
        ("not clientid", false),
        ("true", true),
        ("is_num(qos)", true),
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
        ("NOT (qos = 2) OR clientid = 'c1'", true),
        ("((qos)) + 1 = 2", true),
        ("(qos + 1) * 2 = 4", true),
        ("((qos = 1))", true),
        ("qos in (3, 2, 1)", true),
        ("qos in (1.0)", false),
        ("qos mod 2 = 1 and upper(clientid) = 'C1'", true),
        ("qos = 1 -- a comment\n and true = true", true),
    ] {
        assert_eq!(holds(clause), Ok(expected), "{clause}");
    }
}

#[test]
fn conditions_that_fail() {
    for (clause, failure) in [
        ("clientid > 1", Failure::NotANumber("\"c1\"".into())),
        ("1 = ' 1'", Failure::NotANumber("\" 1\"".into())),
        ("qos = '1e3'", Failure::NotANumber("\"1e3\"".into())),
        ("qos =~ 't'", Failure::NotATopic),
        ("qos = 1 and clientid > 1", Failure::NotANumber("\"c1\"".into())),
        // EMQX has no value for these.
        ("flags.retain", Failure::NotACondition),
        ("clientid", Failure::NotACondition),
        ("1", Failure::NotACondition),
        ("upper(clientid)", Failure::NotACondition),
        ("not not qos = 1", Failure::NotACondition),
        ("not (qos = 1 and qos = 1)", Failure::NotACondition),
        ("qos not in (2)", Failure::NotACondition),
        ("qos ~= 1", Failure::NotACondition),
        ("nothing(qos)", Failure::UnknownFunction("nothing/1".into())),
        ("upper(qos) = 'x'", Failure::argument("upper", &[Value::Integer(1)])),
        ("1 / 0 = 1", Failure::Arithmetic),
        ("- clientid = 1", Failure::Arithmetic),
    ] {
        assert_eq!(holds(clause), Err(failure), "{clause}");
    }
    // What has been decided is not looked at.
    assert_eq!(holds("qos = 1 or clientid > 1"), Ok(true));
    assert_eq!(holds("qos = 2 and clientid > 1"), Ok(false));
}

#[test]
fn conditions_know_what_was_selected() {
    for (select, condition, expected) in [
        ("payload.a as t", "t = 1", true),
        ("payload.a as t", "t = 2", false),
        // A selected field hides the rest of the payload.
        ("payload.o.a", "payload.o.a = 1 and qos = 1", true),
        ("payload.o.a", "payload.s = 'x'", false),
        ("payload.o.a as payload.x", "payload.s = 'x'", true),
        ("payload.a as payload", "payload = 1", true),
    ] {
        let bodies = bodies(select, Some(condition), PAYLOAD).unwrap();
        assert_eq!(!bodies.is_empty(), expected, "{select} {condition}");
    }
}

#[test]
fn arithmetic() {
    for (clause, expected) in [
        ("1 + 2 * 3 - 4 as x", "3"),
        ("(1 + 2) * 3 as x", "9"),
        ("8 / 4 / 2 as x", "1.0"),
        ("-7 div 2 as x", "-3"),
        ("-7 mod 3 as x", "-1"),
        ("- payload.a + 10 as x", "9"),
        ("- - 3 as x", "3"),
        (
            "170141183460469231731687303715884105727 + 1 as x",
            "170141183460469231731687303715884105728",
        ),
        (
            "170141183460469231731687303715884105728 - 1 as x",
            "170141183460469231731687303715884105727",
        ),
        (
            "- (0 - 170141183460469231731687303715884105728) as x",
            "170141183460469231731687303715884105728",
        ),
        (
            "170141183460469231731687303715884105728 * 2 div 4 as x",
            "85070591730234615865843651857942052864",
        ),
        (
            "(0 - 170141183460469231731687303715884105727 - 1) div -1 as x",
            "170141183460469231731687303715884105728",
        ),
        ("(0 - 170141183460469231731687303715884105727 - 1) mod -1 as x", "0"),
        ("payload.big + 0.5 as x", "18446744073709552000.0"),
        (
            "payload.s + 1 + true + payload.o.b + 1.5 as x",
            "\"x1true{\\\"c\\\":7}1.5\"",
        ),
        ("1 = 1.0 as x", "true"),
        ("9007199254740993 = 9007199254740992.0 as x", "false"),
        ("9007199254740993 > 9007199254740992.0 as x", "true"),
        ("170141183460469231731687303715884105728 > 1.5 as x", "true"),
        ("[1..3] as x", "[1,2,3]"),
        ("[3..2] as x", "[]"),
        ("payload.list[2..9] as x", "[{\"x\":\"y\"},[30]]"),
        ("[1, 'a', payload.a, [], ] as x", "[1,\"a\",1,[]]"),
        (
            "CASE WHEN qos = 2 THEN 'two' WHEN qos = 1 THEN 'one' ELSE 'none' END as x",
            "\"one\"",
        ),
        (
            "CASE qos WHEN 2 THEN 'two' WHEN 1.0 THEN 'float' END as x",
            "\"undefined\"",
        ),
        ("(CASE qos WHEN 1 THEN 'one' END) as x", "\"one\""),
        ("upper(CASE WHEN qos = 1 THEN 'a' END) as x", "\"A\""),
        ("emqx_rule_funcs.upper('a') as x", "\"A\""),
        ("1 as x[1]", "[1]"),
        ("1 as x.y[1].z", "{\"y\":[{\"z\":1}]}"),
    ] {
        assert_eq!(selected(clause, PAYLOAD), format!("{{\"x\":{expected}}}"), "{clause}");
    }
    assert_eq!(selected("1 + 1", PAYLOAD), r#"{"_v_op_'+'_1790000001002000000":2}"#);
    assert_eq!(
        selected("1.0e300 * 1.0e300 as x", PAYLOAD),
        Failure::Arithmetic.to_string()
    );
    assert_eq!(selected("[3..1] as x", PAYLOAD), Failure::EmptyRange.to_string());
    assert_eq!(selected("payload.o[1..2] as x", PAYLOAD), Failure::NotAList.to_string());
}

#[test]
fn places_in_lists() {
    for (clause, expected) in [
        ("[1, 2] as x, 3 as x[1]", "[3,2]"),
        ("[1, 2] as x, 3 as x[-1]", "[1,3]"),
        ("[1, 2] as x, 3 as x[0]", "[3,1,2]"),
        ("[1, 2] as x, 3 as x[-0]", "[1,2,3]"),
        ("[1, 2] as x, 3 as x[9]", "[1,2]"),
        ("[1, 2] as x, 3 as x.y", "{\"y\":3}"),
    ] {
        assert_eq!(selected(clause, PAYLOAD), format!("{{\"x\":{expected}}}"), "{clause}");
    }
    assert_eq!(
        selected("2 as i, payload.list[i] as x", PAYLOAD),
        r#"{"x":"undefined","i":2}"#
    );
    assert_eq!(selected("payload.l[i] as x", r#"{"l":[5,6],"i":2}"#), r#"{"x":6}"#);
    assert_eq!(
        selected("[5, 6] as l, 2 as i, l[i] as x", "{}"),
        r#"{"x":6,"l":[5,6],"i":2}"#
    );
}

#[test]
fn payloads_are_kept_whole() {
    assert_eq!(
        selected("payload, 1 as payload.b", r#"{"a":0}"#),
        r#"{"payload":{"b":1,"a":0}}"#
    );
    assert!(selected("*, payload.a", r#"{"a":{"x":1},"b":2}"#).contains(r#""payload":{"b":2,"a":{"x":1}},"#));
    assert_eq!(
        selected("payload, 1 as payload.b", "no"),
        Failure::PayloadIsNotJson.to_string()
    );
}

#[test]
fn foreach() {
    let payload = r#"{"s": [{"id": "a", "v": 1}, {"id": "b", "v": 2}, {"id": "c"}], "n": 5}"#;
    for (select, condition, expected) in [
        (
            "FOREACH payload.s as s DO s.id as id, clientid",
            None,
            "{\"id\":\"a\",\"clientid\":\"c1\"}\n{\"id\":\"b\",\"clientid\":\"c1\"}\n{\"id\":\"c\",\"clientid\":\"c1\"}",
        ),
        (
            "FOREACH payload.s DO item.id as id INCASE item.v > 1",
            None,
            "{\"id\":\"b\"}",
        ),
        (
            "FOREACH payload.s as s DO s.v + n as v INCASE s.id in ('a', 'b')",
            None,
            "PayloadIsNotJson",
        ),
        (
            "FOREACH payload.n as n, payload.s as s DO s.v + n as v INCASE s.id in ('a', 'b')",
            None,
            "{\"v\":6}\n{\"v\":7}",
        ),
        ("FOREACH payload.s as s DO s.id as id", Some("qos = 2"), ""),
        ("FOREACH payload.n as s DO s", None, ""),
        ("FOREACH [1, 2] as n DO n", None, "{\"n\":1}\n{\"n\":2}"),
        (
            "FOREACH [1, 'a'] as n DO n * 2 as x",
            None,
            "* does not accept (\"a\", 2)",
        ),
        ("FOREACH *", None, "[a..b] is used with a value that is not a list"),
    ] {
        let given = bodies(select, condition, payload).unwrap_or_else(|failure| failure.to_string());
        if expected == "PayloadIsNotJson" {
            assert_eq!(given, "+ does not accept (1, \"undefined\")");
        } else {
            assert_eq!(given, expected, "{select}");
        }
    }
    let whole = bodies("FOREACH payload.s INCASE item.v = 1", None, payload).unwrap();
    assert!(
        whole.contains(r#""payload":{"s":[{"v":1,"id":"a"},"#) && whole.contains(r#""item":{"v":1,"id":"a"},"#),
        "{whole}"
    );
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
                "FOREACH", "DO", "INCASE", "case", "when", "then", "else", "end", "upper", "[1..2]", "[0]", "+", "*", "/",
                "div", "mod", "payload.list", "payload.o", "[payload.a]",
            ]),
            0..14,
        ),
        payload in prop_oneof![Just(PAYLOAD.to_owned()), Just("no".to_owned())],
    ) {
        let text = pieces.join(" ");
        let table = table(&payload);
        let (select, condition) = (Select::parse(&text), Condition::parse(&text));
        let scope = Scope::new(&table, &Still);
        if let Ok(select) = &select
            && let Ok(Selected::Bodies(bodies)) = scope.evaluate(Some(select), None)
        {
            for body in bodies {
                prop_assert!(serde_json::from_str::<Json>(&body.to_json()).is_ok());
            }
        }
        if let Ok(condition) = &condition {
            // True, false or a failure: anything but a panic.
            drop(scope.evaluate(None, Some(condition)));
        }
        if let Ok(statement) = Statement::parse(&text) {
            prop_assert!(Select::parse(&statement.select).is_ok());
            prop_assert!(statement.condition.is_none_or(|condition| Condition::parse(&condition).is_ok()));
        }
    }
}
