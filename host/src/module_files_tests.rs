use super::*;

fn folder() -> (tempfile::TempDir, ModuleFiles) {
    let dir = tempfile::tempdir().unwrap();
    let files = ModuleFiles::new(Some(dir.path().to_owned()), None);
    (dir, files)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_module_appears_in_one_step_and_a_wrong_one_never() {
    let (dir, files) = folder();
    let mut module = files.create("m").unwrap();
    for byte in b"\0asm\x0d" {
        module.write(&[*byte]).unwrap();
        assert!(names(dir.path()).iter().all(|name| name.starts_with('.')));
    }
    module.finish().unwrap();
    assert_eq!(names(dir.path()), ["m.wasm"]);
    assert_eq!(fs::read(dir.path().join("m.wasm")).unwrap(), b"\0asm\x0d");
    let mut wrong = files.create("m").unwrap();
    assert!(matches!(wrong.write(b"<html>"), Err(ModuleFileError::NotWasm)));
    drop(wrong);
    let mut short = files.create("m").unwrap();
    short.write(b"\0as").unwrap();
    assert!(matches!(short.finish(), Err(ModuleFileError::NotWasm)));
    assert_eq!(names(dir.path()), ["m.wasm"], "nothing is left behind");
    assert_eq!(fs::read(dir.path().join("m.wasm")).unwrap(), b"\0asm\x0d");
}

#[test]
fn a_disabled_module_keeps_its_files() {
    let (dir, files) = folder();
    fs::write(dir.path().join("m.wasm"), "code").unwrap();
    fs::write(dir.path().join("m.toml"), "settings").unwrap();
    files.enable("m", false).unwrap();
    assert_eq!(names(dir.path()), ["m.toml.disabled", "m.wasm.disabled"]);
    assert_eq!(files.disabled(), ["m"]);
    assert!(matches!(files.enable("m", false), Err(ModuleFileError::Missing(name)) if name == "m.wasm"));
    let mut module = files.create("m").unwrap();
    module.write(b"\0asm").unwrap();
    assert!(matches!(module.finish(), Err(ModuleFileError::Exists(name)) if name == "m.wasm.disabled"));
    fs::write(dir.path().join("m.wasm"), "new").unwrap();
    assert!(matches!(files.enable("m", true), Err(ModuleFileError::Exists(name)) if name == "m.wasm"));
    fs::remove_file(dir.path().join("m.wasm")).unwrap();
    files.enable("m", true).unwrap();
    assert_eq!(names(dir.path()), ["m.toml", "m.wasm"]);
    assert!(files.disabled().is_empty());
}

#[test]
fn a_module_that_is_too_large_is_given_up() {
    let (dir, files) = folder();
    let mut module = files.create("m").unwrap();
    module.write(b"\0asm").unwrap();
    // As if all the rest had arrived.
    module.written = MAX_WASM_BYTES;
    assert!(matches!(module.write(b"x"), Err(ModuleFileError::TooLarge)));
    drop(module);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn names_are_checked() {
    let (_dir, files) = folder();
    for name in ["", ".", "..", "a/b", "../a", "a.b", "a b"] {
        assert!(matches!(files.create(name), Err(ModuleFileError::Name)), "{name}");
        assert!(
            matches!(files.enable(name, false), Err(ModuleFileError::Name)),
            "{name}"
        );
    }
    let none = ModuleFiles::new(None, None);
    assert!(matches!(none.create("m"), Err(ModuleFileError::NoFolder)));
    assert!(none.disabled().is_empty());
}

#[test]
fn files_of_interrupted_uploads_are_removed() {
    let (dir, files) = folder();
    let mut module = files.create("m").unwrap();
    module.write(b"\0asm").unwrap();
    // As after a crash.
    std::mem::forget(module);
    for other in [
        ".m.wasm.x",
        ".m.wasm.0123456789abcdeg",
        ".a b.wasm.0123456789abcdef",
        "m.wasm.0123456789abcdef",
    ] {
        fs::write(dir.path().join(other), "").unwrap();
    }
    files.remove_interrupted(SystemTime::now());
    assert_eq!(names(dir.path()).len(), 5, "it may be an upload of another host");
    files.remove_interrupted(SystemTime::now() + 2 * MAX_UPLOAD_PAUSE);
    let left = [
        ".a b.wasm.0123456789abcdef",
        ".m.wasm.0123456789abcdeg",
        ".m.wasm.x",
        "m.wasm.0123456789abcdef",
    ];
    assert_eq!(names(dir.path()), left);
}
