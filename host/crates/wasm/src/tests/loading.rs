//! Checks which bytes are accepted as a module.

use super::*;

#[test]
fn what_is_no_module_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| engine().compile(bytes).err().unwrap();
    assert_eq!(refused(b"hello"), LoadError::NotWasm { what: "something else" });
    assert_eq!(refused(&wat::parse_str("(module)").unwrap()), LoadError::CoreModule);
    assert_eq!(
        refused(&wat::parse_str("(component)").unwrap()),
        LoadError::NoHandler { exports: vec![] }
    );
    let cut = wat::parse_str(QUIET.text()).unwrap();
    assert!(matches!(refused(&cut[..cut.len() / 2]), LoadError::Invalid(_)));

    let text = QUIET
        .text()
        .replace("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0");
    let error = compile(&text).err().unwrap();
    assert_eq!(
        error,
        LoadError::OtherVersion {
            found: "hookhost:hook/handler@0.2.0".into()
        }
    );

    let text = QUIET.text().replacen(
        "(component",
        "(component (import \"wasi:http/outgoing-handler@0.2.0\" (instance (export \"handle\" (func))))",
        1,
    );
    assert!(text.starts_with(";;"), "the comment goes first");
    let error = compile(&text).err().unwrap();
    assert_eq!(
        error,
        LoadError::UnknownImport {
            name: "wasi:http/outgoing-handler@0.2.0".into()
        }
    );

    // A function that a known interface does not have.
    let text = QUIET
        .text()
        .replacen("(export \"add\"", "(export \"multiply\" (func)) (export \"add\"", 1);
    match compile(&text) {
        Err(LoadError::OtherTypes(text)) => assert!(text.contains("multiply"), "{text}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_handler_without_one_of_its_functions_is_refused() {
    let text = QUIET.text();
    let export = "(export \"handle\" (func $handle))";
    assert!(text.contains(export));
    let renamed = "(export \"handel\" (func $handle))";
    assert_eq!(
        compile(&text.replace(export, renamed)).err().unwrap(),
        LoadError::LacksFunction { function: "handle" }
    );
}

#[test]
fn what_is_no_module_is_looked_at_all_the_same() {
    let text = QUIET
        .text()
        .replace("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0");
    let anatomy = engine().examine(&wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(anatomy.exports, ["hookhost:hook/handler@0.2.0"]);
    assert!(anatomy.imports.contains(&"hookhost:hook/log@0.1.0".to_owned()));
    assert!(anatomy.component.is_err());
}

#[test]
fn a_module_built_from_another_contract_is_refused_when_it_is_instantiated() {
    for (from, to, named) in [
        ("(field \"port\" u16)", "(field \"port\" u32)", "u16"),
        ("(case \"ignore\")", "(case \"ignored\")", "ignore"),
        (
            "\"delivery-lost\" \"other\"",
            "\"delivery-lost\" \"more\" \"other\"",
            "",
        ),
    ] {
        let text = QUIET.text();
        assert!(text.contains(from), "{from}");
        let component = compile(&text.replace(from, to)).unwrap();
        match component.instantiate(&identity(), &Limits::default(), &kv()) {
            Err(LoadError::OtherTypes(text)) => assert!(text.contains(named), "{text}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}
