//! Changes that are made, and changes that are refused.

use super::*;
use serde_json::json;

fn object(json: Json) -> Map<String, Json> {
    json.as_object().cloned().unwrap()
}

fn change(name: &str, edit: Edit) -> Change {
    Change {
        name: name.to_owned(),
        if_match: None,
        edit,
    }
}

fn made(table: &mut Table, change: &Change) -> Result<(), ChangeError> {
    let check = |name: &str, settings: &Json| match settings["url"].as_str() {
        Some("wrong") => vec![
            Place::file(Path::new("f"))
                .below(&format!("webhooks.{name}.url"))
                .problem("is wrong"),
        ],
        _ => Vec::new(),
    };
    apply(
        table,
        change,
        &BTreeSet::from(["fixed".to_owned()]),
        &|_, settings| etag(settings),
        &check,
    )
}

#[test]
fn a_webhook_is_created_changed_and_removed() {
    let mut table = Table::new();
    let create = change(
        "w",
        Edit::Create(object(json!({"url": "http://a/", "bearer": "s", "where": null}))),
    );
    made(&mut table, &create).unwrap();
    assert_eq!(*table["w"], json!({"url": "http://a/", "bearer": "s"}));
    assert_eq!(made(&mut table, &create), Err(ChangeError::Exists("w".to_owned())));
    made(&mut table, &change("w", Edit::Enable(false))).unwrap();
    assert_eq!(table["w"]["enabled"], false);
    let replace = object(json!({"url": "http://a/b", "bearer": secret::HIDDEN}));
    made(&mut table, &change("w", Edit::Replace(replace))).unwrap();
    assert_eq!(*table["w"], json!({"url": "http://a/b", "bearer": "s"}));
    made(&mut table, &change("w", Edit::Remove)).unwrap();
    assert_eq!(table.len(), 0);
    for edit in [Edit::Remove, Edit::Enable(true)] {
        assert_eq!(
            made(&mut table, &change("w", edit)),
            Err(ChangeError::Unknown("w".to_owned()))
        );
    }
}

#[test]
fn what_somebody_else_has_changed_is_not_overwritten() {
    let mut table = Table::new();
    made(
        &mut table,
        &change("w", Edit::Create(object(json!({"url": "http://a/"})))),
    )
    .unwrap();
    let seen = etag(&table["w"]);
    let edit = |url: &str| Change {
        if_match: Some(seen.clone()),
        ..change("w", Edit::Replace(object(json!({ "url": url }))))
    };
    made(&mut table, &edit("http://first/")).unwrap();
    assert_eq!(
        made(&mut table, &edit("http://second/")),
        Err(ChangeError::Changed("w".to_owned()))
    );
    assert_eq!(table["w"]["url"], "http://first/");
}

#[test]
fn the_tag_of_settings_does_not_help_to_guess_their_secrets() {
    let (one, other) = (json!({"bearer": "one"}), json!({"bearer": "other"}));
    assert_eq!(etag(&one), etag(&one));
    assert_ne!(etag(&one), etag(&other));
    let digest = <sha2::Sha256 as sha2::Digest>::digest(one.to_string().as_bytes());
    let unkeyed: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(
        !unkeyed.starts_with(&etag(&one)),
        "a reader of the tag could try secrets"
    );
}

#[test]
fn mistakes_change_nothing_and_have_their_field() {
    let mut table = Table::new();
    let create = |name: &str, url: &str| change(name, Edit::Create(object(json!({ "url": url }))));
    let error = made(&mut table, &create("w", "wrong")).unwrap_err();
    let expected = FieldProblem {
        webhook: "w".to_owned(),
        field: "url".to_owned(),
        text: "is wrong".to_owned(),
    };
    assert_eq!(error, ChangeError::Invalid(vec![expected]));
    assert_eq!(error.to_string(), "w.url: is wrong");
    assert_eq!(
        made(&mut table, &create("fixed", "http://a/")),
        Err(ChangeError::ReadOnly("fixed".to_owned()))
    );
    assert!(table.is_empty());
}
