use super::super::Place;
use super::*;

fn variable(name: &str) -> Setting {
    Setting::new(Place::variable(name), Value::Untyped(name.to_owned()))
}

fn text(value: &str) -> Setting {
    Setting::new(Place::flag("-x"), Value::Text(value.to_owned()))
}

#[test]
fn settings_are_put_at_paths() {
    let mut table = Table::new();
    insert(&mut table, &["a", "b"], variable("A__B"));
    insert(&mut table, &["a", "c", "d"], variable("A__C__D"));
    // `a.b` is not a table.
    insert(&mut table, &["a", "b", "x"], variable("A__B__X"));
    assert_eq!(find(&table, &["a", "c", "d"]), Some(&variable("A__C__D")));
    assert_eq!(find(&table, &["a", "b.x"]), Some(&variable("A__B__X")));
    assert_eq!(find(&table, &["a", "b", "x"]), None);
    assert_eq!(find(&table, &["a"]).unwrap().place, Place::variable("A__B"));
    assert_eq!(remove(&mut table, &["a", "c", "d"]), Some(variable("A__C__D")));
    assert_eq!(remove(&mut table, &["a", "c", "d"]), None);
}

#[test]
fn the_stronger_value_wins_and_tables_are_merged() {
    let mut weaker = Table::new();
    insert(&mut weaker, &["Section", "a"], text("1"));
    insert(&mut weaker, &["Section", "b"], text("2"));
    insert(&mut weaker, &["Section", "whole", "c"], text("3"));
    let mut stronger = Table::new();
    insert(&mut stronger, &["section", "a"], variable("A"));
    insert(&mut stronger, &["section", "whole", "d"], variable("D"));
    merge(&mut weaker, stronger, &|path| path == "Section.whole");
    assert_eq!(weaker.len(), 1);
    assert_eq!(find(&weaker, &["Section", "a"]), Some(&variable("A")));
    assert_eq!(find(&weaker, &["Section", "b"]), Some(&text("2")));
    assert_eq!(find(&weaker, &["Section", "whole", "c"]), None);
    assert_eq!(find(&weaker, &["Section", "whole", "d"]), Some(&variable("D")));
}

#[test]
fn numbers_are_indices() {
    let list = |texts: &[&str]| {
        Setting::new(
            Place::flag("-l"),
            Value::List(texts.iter().map(|value| text(value)).collect()),
        )
    };
    let table = |entries: &[(&str, &str)]| {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), text(value)));
        Setting::new(Place::flag("-t"), Value::Table(entries.collect()))
    };
    let read = |setting: Setting| -> Result<Vec<String>, String> {
        let list = setting.into_list().map_err(|problem| problem.to_string())?;
        Ok(list
            .iter()
            .map(|setting| setting.as_text().unwrap().to_owned())
            .collect())
    };
    let texts =
        |texts: &[&str]| -> Result<Vec<String>, String> { Ok(texts.iter().map(|text| (*text).to_owned()).collect()) };
    assert_eq!(
        read(table(&[
            ("1", "a"),
            ("10", "j"),
            ("2", "b"),
            ("3", "c"),
            ("4", "d"),
            ("5", "e"),
            ("6", "f"),
            ("7", "g"),
            ("8", "h"),
            ("9", "i")
        ])),
        texts(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])
    );
    let over = |known: &[&str], more: &[(&str, &str)]| read(list(known).overridden_by(table(more)));
    assert_eq!(over(&["a", "b"], &[("2", "x"), ("03", "y")]), texts(&["a", "x", "y"]));
    assert_eq!(read(table(&[("1", "a")]).overridden_by(list(&["b"]))), texts(&["b"]));
    assert_eq!(
        over(&["a"], &[("3", "x")]),
        Err("-x: is element 3 of a list, which should have an element 2: counting begins at 1".to_owned())
    );
    assert_eq!(
        read(table(&[("0", "x")])),
        Err("-x: is element 0 of a list, which should have an element 1: counting begins at 1".to_owned())
    );
    assert_eq!(
        over(&["a"], &[("b", "x")]),
        Err("-t: should be a list, not a table".to_owned())
    );
}
