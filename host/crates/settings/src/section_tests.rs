use std::path::Path;

use super::super::{Findings, UnknownKeys, document, insert, merge, variables};
use super::*;

fn table(text: &str) -> Table {
    let (table, errors) = document::parse(Path::new("f"), text);
    assert_eq!(errors, []);
    table
}

fn root<'r>(report: &'r Report, table: Table) -> Section<'r> {
    Section::root(report, Place::file(Path::new("f")), table)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn every_type_is_read_and_every_mismatch_reported() {
    let report = Report::default();
    let mut section = root(
        &report,
        table(
            "duration = \"1s\"\nsize = 5\ninteger = 1.5\nnumber = 2\nboolean = \"true\"\nchoice = \"b\"\nlist = [\"x\", 1]\n\
             path = \"\"\nlarge = 300\n",
        ),
    );
    let second = Duration::from_secs(1);
    assert_eq!(section.duration("duration", Duration::ZERO, second..=second), second);
    assert_eq!(section.size("size", 1, 0..=9), 5);
    assert_eq!(section.integer("integer", 7_u8, 0..=9), 7);
    assert_eq!(section.number("number", 0.0, 0.0..=2.0), 2.0);
    assert!(!section.boolean("boolean", false));
    assert_eq!(section.choice("choice", 0, &[("a", 1), ("b", 2)]), 2);
    let (place, list) = section.list("list", |text| Ok(text.to_owned())).unwrap();
    assert_eq!(
        (place.to_string().as_str(), list.as_slice()),
        ("f:7: list", &["x".to_owned()][..])
    );
    assert_eq!(section.path("path"), None);
    assert_eq!(section.integer("large", 7_u8, 0..=1_000), 7);
    assert_eq!(section.integer("absent", 7_u8, 0..=1_000), 7);
    drop(section);
    assert_eq!(
        shown(&report.finish().problems),
        [
            "f:3: integer: should be a whole number, not a float",
            "f:5: boolean: should be true or false, not a string",
            "f:7: list[1]: should be a string, not an integer",
            "f:8: path: is empty",
            "f:9: large: is too large",
        ]
    );
}

#[test]
fn variables_are_read_as_the_type_that_is_wanted() {
    let variables = [
        ("HOOKHOST_A__NUMBER", "1_000"),
        ("HOOKHOST_A__BOOLEAN", "true"),
        ("HOOKHOST_A__LIST", "x  y"),
        ("HOOKHOST_A__TABLE__KEY", "1"),
        ("HOOKHOST_A__NUMBER__MORE", "1"),
        ("HOOKHOST_A__BOOLEANS", "1"),
    ];
    let report = Report::default();
    let mut root = root(&report, variables::table(variables));
    let mut section = root.section("a");
    assert_eq!(section.integer("number", 0, 0..=9_999), 1_000);
    assert!(section.boolean("boolean", false));
    assert_eq!(section.list("list", |text| Ok(text.len())).unwrap().1, [1, 1]);
    assert_eq!(section.whole_table("table"), None);
    drop((section, root));
    assert_eq!(
        shown(&report.finish().problems),
        [
            "environment: HOOKHOST_A__TABLE__KEY: is a table, which only a file can give",
            "environment: HOOKHOST_A__BOOLEANS: unknown key; the nearest known one is HOOKHOST_A__BOOLEAN",
            "environment: HOOKHOST_A__NUMBER__MORE: unknown key; known are HOOKHOST_A__BOOLEAN, HOOKHOST_A__LIST, HOOKHOST_A__NUMBER",
        ]
    );
}

#[test]
fn a_variable_with_one_name_too_many_is_unknown() {
    let report = Report::default();
    let mut root = root(&report, variables::table([("HOOKHOST_A__NUMBER__X", "1")]));
    assert_eq!(root.section("a").integer("number", 7, 0..=9), 7);
    drop(root);
    assert_eq!(
        shown(&report.finish().problems),
        ["environment: HOOKHOST_A__NUMBER__X: unknown key; the nearest known one is HOOKHOST_A__NUMBER"]
    );
}

#[test]
fn unknown_keys_are_listed_beside_the_nearest_of_their_table() {
    let mut settings = table("[a]\nnumbr = 1\n");
    let mut more = Table::new();
    let variable = Setting::new(Place::variable("A_NUMBERS"), Value::Untyped("1".to_owned()));
    insert(&mut more, &["a", "numbers"], variable);
    merge(&mut settings, more, &|_| false);
    let report = Report::new(UnknownKeys::Listed);
    root(&report, settings).section("a").integer("number", 0, 0..=9);
    let findings = report.finish();
    assert_eq!(
        shown(&findings.unknown),
        [
            "environment: A_NUMBERS: unknown key, ignored; the nearest known one is number",
            "f:2: a.numbr: unknown key, ignored; the nearest known one is number",
        ]
    );
    let unknown = findings.unknown.clone();
    let expected = Findings {
        unknown,
        ..Findings::default()
    };
    assert_eq!(findings, expected);
}

#[test]
fn sections_are_read_by_name() {
    let report = Report::default();
    let mut root = root(&report, table("[named.one]\nx = 1\n[named]\ntwo = 2\n"));
    let mut named = root.section("named");
    let sections = named.sections();
    let [(name, _)] = sections.as_slice() else {
        panic!("{sections:?}")
    };
    assert_eq!(name, "one");
    drop((sections, named, root));
    assert_eq!(
        shown(&report.finish().problems),
        [
            "f:4: named.two: should be a table, not an integer",
            "f:2: named.one.x: unknown key; the nearest known one is named.one",
        ]
    );
}
