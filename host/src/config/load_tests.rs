//! Files that flags and variables name.

use super::*;

fn problems(flags: Flags, environment: Environment) -> Vec<String> {
    load(flags, environment)
        .unwrap_err()
        .problems
        .iter()
        .map(Problem::to_string)
        .collect()
}

#[test]
fn files_are_named_by_flags_or_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, two) = (path("one", "node.id = 1"), path("two", "node.id = 2"));
    let hooks = path("hooks", "concurrency_limit = 7");
    let environment = Environment::from([
        ("HOOKHOST_CONFIG".to_owned(), two.display().to_string()),
        ("HOOKHOST_WEBHOOK_CONFIG".to_owned(), hooks.display().to_string()),
    ]);
    let config = load(Flags::default(), environment.clone()).unwrap().config;
    assert_eq!((config.node.id, config.delivery.terms.concurrency_limit), (2, 7));
    let flags = Flags {
        config: Some(one),
        ..Flags::default()
    };
    assert_eq!(load(flags, environment).unwrap().config.node.id, 1);
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let latin = dir.path().join("latin");
    std::fs::write(&latin, b"\xff").unwrap();
    let flags = Flags {
        config: Some("/nowhere/at/all".into()),
        webhook_config: Some(latin.clone()),
        listen: Some("x".to_owned()),
        ..Flags::default()
    };
    let shown = problems(flags, Environment::default());
    assert_eq!(
        shown[0],
        "--config: cannot read /nowhere/at/all: No such file or directory (os error 2)"
    );
    assert_eq!(
        shown[1],
        format!("--webhook-config: cannot read {}: not UTF-8", latin.display())
    );
    assert!(shown[2].starts_with("--listen: should be an address"), "{shown:?}");
    assert_eq!(shown.len(), 3);

    let flags = Flags {
        config: Some("/dev/zero".into()),
        ..Flags::default()
    };
    assert_eq!(
        problems(flags, Environment::default()),
        ["--config: cannot read /dev/zero: it is not a regular file"]
    );
}

#[test]
fn a_modules_folder_of_the_command_line_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, file) = (dir.path().join("nosuch"), dir.path().join("file"));
    std::fs::write(&file, "").unwrap();
    let told = |modules: &Path| {
        let flags = Flags {
            modules: Some(modules.to_owned()),
            ..Flags::default()
        };
        load(flags.clone(), Environment::default()).err().map(|refused| {
            let inputs = Inputs {
                flags,
                ..Inputs::default()
            };
            assert!(load_again(inputs).is_ok(), "a running host keeps running");
            refused.problems.iter().map(Problem::to_string).collect::<Vec<_>>()
        })
    };
    assert_eq!(told(dir.path()), None);
    let expected = format!(
        "--modules: there is no folder {}; make it first, or leave --modules out",
        missing.display()
    );
    assert_eq!(told(&missing), Some(vec![expected]));
    let expected = format!(
        "--modules: {} is not a folder; name the folder that holds the modules",
        file.display()
    );
    assert_eq!(told(&file), Some(vec![expected]));
    // A setting may name a folder that appears later.
    let config = dir.path().join("h.toml");
    std::fs::write(
        &config,
        format!("[modules]\ndir = {:?}\n", missing.display().to_string()),
    )
    .unwrap();
    let flags = Flags {
        config: Some(config),
        ..Flags::default()
    };
    assert!(load(flags, Environment::default()).is_ok());
}

#[test]
fn a_default_file_that_was_read_has_to_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hookhost.toml");
    let flags = Flags {
        default_config: Some(path.clone()),
        ..Flags::default()
    };
    std::fs::write(&path, "node.id = 5").unwrap();
    assert_eq!(load(flags.clone(), Environment::default()).unwrap().config.node.id, 5);
    std::fs::remove_file(&path).unwrap();
    let shown = problems(flags, Environment::default());
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].contains("hookhost.toml: No such file"), "{shown:?}");
}
