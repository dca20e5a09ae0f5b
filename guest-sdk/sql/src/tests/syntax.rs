//! Errors and warnings of the parser, and the parts of a statement.

use super::*;

#[test]
fn mistakes_in_select() {
    for (clause, expected) in [
        (
            "",
            "`>>><<<`: a column, a number, a 'text', a list or a function was expected",
        ),
        (
            "a,",
            "`a,>>><<<`: a column, a number, a 'text', a list or a function was expected",
        ),
        ("a b c", "`a b >>>c<<<`: `,` or the end of the clause was expected"),
        ("a as", "`a as>>><<<`: a name was expected"),
        ("a as 'x'", "`a as >>>'x'<<<`: a name was expected"),
        ("payload..x", "`payload.>>>.<<<x`: a name after the dot was expected"),
        ("payload.", "`payload.>>><<<`: a name after the dot was expected"),
        (
            "payload.from",
            "`payload.>>>from<<<`: a name after the dot was expected; FROM is a keyword, and a name like it is written in quotes",
        ),
        (
            "x[1.5] as y",
            "`x[>>>1.5<<<] as y`: only a whole number or a name is an index; the first item is 1, the last one -1",
        ),
        ("'abc", "`>>>'abc<<<`: the quote is not closed"),
        ("a # b", "`a >>>#<<< b`: this character has no meaning here"),
        (
            "häh",
            "`h>>>ä<<<h`: names begin with a letter and have only letters, digits and _$@~; a name with others is written \"…\"",
        ),
        (
            "payload.a-1",
            "`payload.a>>>-1<<<`: this is a negative number: write a blank after the minus sign for a difference",
        ),
        (
            "1e3 as x",
            "`>>>1e3<<< as x`: this is not a number: numbers are written 1, -1, 1.5 or 1.0e3, up to 1.0e308",
        ),
        ("a -- c", "`a >>>--<<< c`: a comment must end with a line break"),
        ("(a = 1) as x", "`(a >>>=<<< 1) as x`: `)` or an operator was expected"),
        (
            "a = b = c",
            "`a = b >>>=<<< c`: comparisons do not follow each other: join them with `and`",
        ),
        ("CASE END", "`CASE >>>END<<<`: a column,"),
        (
            "CASE WHEN a THEN b",
            "`CASE WHEN a THEN b>>><<<`: WHEN, ELSE or END was expected",
        ),
        ("upper(a", "`upper(a>>><<<`: `,` or `)` was expected"),
        ("[1, 2", "`[1, 2>>><<<`: `,` or `]` was expected"),
        ("FOREACH", "`FOREACH>>><<<`: a column,"),
        ("FOREACH a INCASE", "`FOREACH a INCASE>>><<<`: a column,"),
    ] {
        let error = Select::parse(clause).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{clause}: {error}");
    }
}

#[test]
fn mistakes_in_where() {
    for (clause, expected) in [
        (
            "",
            "`>>><<<`: a column, a number, a 'text', a list or a function was expected",
        ),
        ("qos = ", "`qos =>>><<<`: a column,"),
        ("qos = 1 and", "`qos = 1 and>>><<<`: a column,"),
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
        ("qos in ()", "`qos in (>>>)<<<`: a column,"),
        ("qos in 1", "`qos in >>>1<<<`: `(` was expected"),
        ("qos not 1", "`qos not >>>1<<<`: IN was expected"),
        ("where qos = 1", "`>>>where<<< qos = 1`: a column,"),
        ("qos = 1.", "`qos = >>>1.<<<`: this is not a number"),
    ] {
        let error = Condition::parse(clause).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{clause}: {error}");
    }
    for deep in ["(", "not ", "[", "upper(", "- ", "upper(case when ", "a["] {
        let error = Condition::parse(&deep.repeat(500)).unwrap_err();
        assert!(error.what().starts_with("more than 64 parentheses"), "{deep}: {error}");
    }
    // What follows each other is not nested.
    for (part, last) in [
        ("a = 1 or ", "a = 1"),
        ("a = 1 and ", "a = 1"),
        ("a + ", "1 = 1"),
        ("a.", "b = 1"),
    ] {
        let condition = Condition::parse(&(part.repeat(5000) + last)).unwrap();
        let table = table("{}");
        drop(Scope::new(&table, &Still).evaluate(None, Some(&condition)));
    }
}

#[test]
fn warnings() {
    for (clause, expected) in [
        ("qos = 1", &[][..]),
        (
            "clientid = \"foo\"",
            &["`clientid = >>>\"foo\"<<<`: \"foo\" is the name of a column: write 'foo' for the text"],
        ),
        ("clientid = \"topic\" and \"payload\".x = 1", &[]),
        (
            "clientid in (\"a\", 'b')",
            &["`clientid in (>>>\"a\"<<<, 'b')`: \"a\" is the name of a column: write 'a' for the text"],
        ),
        (
            "upper(\"a\") = 'A'",
            &["`upper(>>>\"a\"<<<) = 'A'`: \"a\" is the name of a column: write 'a' for the text"],
        ),
        (
            "flags.retain",
            &[
                "`>>>flags.retain<<<`: EMQX does not take a value as a condition, and the rule sends nothing: compare it, as in `… = true`",
            ],
        ),
        (
            "qos = 1 and flags.retain",
            &[
                "`qos = 1 and >>>flags.retain<<<`: EMQX does not take a value as a condition, and the rule sends nothing: compare it, as in `… = true`",
            ],
        ),
        (
            "not (qos = 1 or qos = 2)",
            &[
                "`>>>not (qos = 1 or qos = 2)<<<`: EMQX cannot evaluate `not` here, and the rule sends nothing: turn the comparisons round",
            ],
        ),
        (
            "qos not in (1)",
            &[
                "`qos >>>not in (1)<<<`: EMQX cannot evaluate NOT IN, and the rule sends nothing: write the comparisons with `and`",
            ],
        ),
        (
            "qos ~= 1",
            &["`qos >>>~=<<< 1`: EMQX cannot evaluate ~=, and the rule sends nothing: write =~"],
        ),
        (
            "nope(1)",
            &["`>>>nope(1)<<<`: there is no function with this name; the rule sends nothing"],
        ),
        (
            "upper(1, 2) = 'x'",
            &["`>>>upper(1, 2)<<< = 'x'`: upper(text) does not take 2 arguments; the rule sends nothing"],
        ),
    ] {
        let condition = Condition::parse(clause).unwrap();
        let is_column = |name: &str| name == "topic";
        let warnings: Vec<_> = condition.warnings(is_column).map(ToString::to_string).collect();
        assert_eq!(warnings, expected, "{clause}");
    }
}

#[test]
fn a_long_text_is_quoted_around_the_place() {
    let text = format!(
        "{}größe, {}",
        "länge, ".replace('ä', "ae").repeat(20),
        "weite, ".repeat(20)
    );
    let error = Select::parse(&text).unwrap_err().to_string();
    assert!(error.len() < 400, "{error}");
    assert!(error.contains("gr>>>ö<<<ße"), "{error}");
    let error = Select::parse("a,\n\n   b,\n   #").unwrap_err().to_string();
    assert!(error.starts_with("`a, b, >>>#<<<`"), "{error}");
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
        (r#"SELECT a FROM "x" WHERE (qos = 1)"#, "a", &["x"], Some("(qos = 1)")),
        (
            r##"FOREACH payload.s as s DO s.id INCASE s.v > 1 FROM 't' WHERE 'a from b' = topic"##,
            "FOREACH payload.s as s DO s.id INCASE s.v > 1",
            &["t"],
            Some("'a from b' = topic"),
        ),
        (
            r#"SELECT payload.'from', payload."where" FROM "t""#,
            r#"payload.'from', payload."where""#,
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
        ("", "`>>><<<`: SELECT or FOREACH was expected"),
        ("DELETE x", "`>>>DELETE<<< x`: SELECT or FOREACH was expected"),
        ("SELECT *", "`SELECT *>>><<<`: `,` or FROM was expected"),
        (
            "SELECT * FROM",
            "`SELECT * FROM>>><<<`: a topic filter or an event topic in quotes,",
        ),
        (
            "SELECT * FROM a/b",
            "`SELECT * FROM a>>>/<<<b`: `,`, WHERE or the end of the statement was expected",
        ),
        (
            "SELECT * FROM \"a\" \"b\"",
            "`SELECT * FROM \"a\" >>>\"b\"<<<`: `,`, WHERE or the end of the statement",
        ),
        (
            "SELECT * FROM \"a\";",
            "`SELECT * FROM \"a\">>>;<<<`: this character has no meaning here",
        ),
        (
            "SELECT * FROM \"a\" WHERE qos = 1 LIMIT 1",
            "`SELECT * FROM \"a\" WHERE qos = 1 >>>LIMIT<<< 1`: `and`, `or` or the end",
        ),
    ] {
        let error = Statement::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}
