//! Files that a text includes.

use super::*;

#[test]
fn included_files_are_read_where_the_statement_is() {
    let files = [
        ("etc/other.conf", "a = 2\nb { c = 3 }\nd = ${a}"),
        ("etc/sub/more.conf", "include \"../leaf.conf\"\nm = 1"),
        ("etc/sub/../leaf.conf", "leaf = ${?b.c}"),
        ("/abs.conf", "abs = true"),
    ];
    let cases = [
        (
            "a = 1\ninclude \"other.conf\"",
            json!({"a": 2, "b": {"c": 3}, "d": 2}),
            &["etc/other.conf"][..],
        ),
        (
            "include \"other.conf\"\na = 1",
            json!({"a": 1, "b": {"c": 3}, "d": 1}),
            &["etc/other.conf"],
        ),
        (
            "include required(\"other.conf\")",
            json!({"a": 2, "b": {"c": 3}, "d": 2}),
            &["etc/other.conf"],
        ),
        (
            "include required( file( \"other.conf\" ) ) # x",
            json!({"a": 2, "b": {"c": 3}, "d": 2}),
            &["etc/other.conf"],
        ),
        ("include file(\"/abs.conf\")", json!({"abs": true}), &["/abs.conf"]),
        // Below a key, a substitution means what is there, or else at the root.
        (
            "x { include \"other.conf\" }",
            json!({"x": {"a": 2, "b": {"c": 3}, "d": 2}}),
            &["etc/other.conf"],
        ),
        (
            "b.c = 9\nx { include \"sub/more.conf\" }",
            json!({"b": {"c": 9}, "x": {"leaf": 9, "m": 1}}),
            &["etc/sub/more.conf", "etc/sub/../leaf.conf"],
        ),
        ("include = 2", json!({"include": 2}), &[]),
        ("include { a = 1 }", json!({"include": {"a": 1}}), &[]),
    ];
    for (text, expected, included) in cases {
        let hocon = read_with(text, &files);
        assert_eq!((hocon.errors, hocon.warnings), (Vec::new(), Vec::new()), "{text}");
        assert_eq!(json_of(hocon.table), expected, "{text}");
        assert_eq!(hocon.included, included, "{text}");
    }
    let place = read_with("x { include \"other.conf\" }", &files).table["x"].clone();
    let Value::Table(x) = place.value else {
        panic!("a table")
    };
    assert_eq!(x["a"].place.to_string(), "etc/other.conf:1: x.a");
}

#[test]
fn mistakes_with_includes_name_file_and_line() {
    let files = [
        ("etc/a.conf", "x = 1\ninclude \"b.conf\""),
        ("etc/b.conf", "include \"./a.conf\""),
        ("etc/self.conf", "include \"../etc/f\""),
        ("etc/broken.conf", "a = 1\nb"),
        ("etc/wide.conf", "w = [${nope}]"),
    ];
    let cases = [
        (
            "include \"a.conf\"",
            "etc/b.conf",
            1,
            "etc/a.conf includes etc/b.conf includes etc/./a.conf: a file must not include itself",
        ),
        (
            "\ninclude \"self.conf\"",
            "etc/self.conf",
            1,
            "etc/f includes etc/self.conf includes etc/../etc/f: a file must not include itself",
        ),
        (
            "include \"broken.conf\"\nc = 1",
            "etc/broken.conf",
            2,
            "b: = or { is missing after the key",
        ),
        (
            "include \"wide.conf\"",
            "etc/wide.conf",
            1,
            "${nope} is defined neither in this file nor in the environment; ${?nope} may be undefined",
        ),
        (
            "\n\ninclude required(\"no.conf\")",
            "etc/f",
            3,
            "cannot read etc/no.conf: entity not found",
        ),
        (
            "include url(\"http://h/\")",
            "etc/f",
            1,
            "include needs a file, such as include \"other.conf\" or include required(\"other.conf\")",
        ),
        (
            "include required(\"a.conf\"",
            "etc/f",
            1,
            "include needs a ) after the file",
        ),
        (
            "include \"leaf.conf\" x",
            "etc/f",
            1,
            "include: something is left over after the value",
        ),
    ];
    for (text, file, line, message) in cases {
        let errors = read_with(text, &files).errors;
        assert_eq!(errors, [(file.to_owned(), line, message.to_owned())], "{text}");
    }
    let missing = read_with("a = 1\ninclude \"no.conf\"", &files);
    let text = "etc/no.conf does not exist and is left out; include required(\"…\") makes this an error";
    assert_eq!(missing.errors, []);
    assert_eq!(missing.warnings, [("etc/f".to_owned(), 2, text.to_owned())]);
    assert_eq!(missing.included, ["etc/no.conf"]);
}
