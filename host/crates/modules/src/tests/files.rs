//! Files that appear, change and disappear.

use super::*;

#[test]
fn a_dropped_file_takes_the_place_of_the_default_module_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(settings(Some(dir.path()), rules("http://h/hook")));
    put(dir.path(), "webhook.wasm", variant(1));
    host.look();
    assert_eq!(host.origin("webhook"), Some(Origin::File));
    assert_eq!(host.answer("c", 1).generation, 2);
    put(dir.path(), "webhook.toml", rules_toml("http://other/"));
    host.look();
    assert_eq!(host.number("webhook"), Some(3));
    assert_eq!(host.answer("c", 2).url, "http://other/");
    fs::remove_file(dir.path().join("webhook.wasm")).unwrap();
    host.look();
    assert_eq!(host.origin("webhook"), Some(Origin::BuiltIn));
    let request = host.answer("c", 3);
    assert_eq!((request.url.as_str(), request.generation), ("http://other/", 4));
    // Writing the same content again is not a change.
    put(dir.path(), "webhook.toml", rules_toml("http://other/"));
    host.rescan();
    assert_eq!(host.number("webhook"), Some(4));
}

#[test]
fn files_that_do_not_load_change_nothing_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", variant(1));
    put(dir.path(), "a.toml", rules_toml("http://h/"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.number("a"), Some(1));
    let other_world = wat::parse_str("(component)").unwrap();
    let good = rules_toml("http://h/");
    for (number, (file, content, expected)) in [
        (
            "a.wasm",
            b"not wasm".to_vec(),
            "a.wasm cannot be loaded: this is not WebAssembly",
        ),
        ("a.wasm", wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
        ("a.wasm", other_world, "does not export hookhost:hook/handler@0.1.0"),
        ("a.wasm", WEBHOOK[..WEBHOOK.len() / 2].to_vec(), "cannot be compiled"),
        ("a.toml", b"x = ".to_vec(), "a.toml:1: string values must be quoted"),
        (
            "a.toml",
            b"[limits]\nmemory = '1GiBB'".to_vec(),
            "a.toml:2: limits.memory: ",
        ),
        (
            "a.toml",
            b"[config]\nurlz = []".to_vec(),
            "a.toml:2: config.urlz: is not known",
        ),
        (
            "a.toml",
            format!("{good}[limits]\nmemory = '64KiB'").into_bytes(),
            "a.wasm cannot be loaded: ",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        put(dir.path(), file, content);
        host.rescan();
        assert!(
            host.problem("a").contains(expected),
            "{} for {expected}",
            host.problem("a")
        );
        let state = host.state("a").unwrap();
        assert_eq!(
            (state.status, host.number("a")),
            (Status::Running, Some(1 + number as u32))
        );
        assert_eq!(host.answer("c", number as u32).generation, 1 + number as u32);
        // After the correction: a new generation, although the files are the same as before.
        put(dir.path(), "a.wasm", variant(1));
        put(dir.path(), "a.toml", &good);
        host.rescan();
        assert_eq!(
            (host.problem("a").as_str(), host.number("a")),
            ("", Some(2 + number as u32))
        );
    }
}

/// Writes to a file when the loader asks for cached code, which is between the listing and the read.
struct Meddler {
    engine: Engine,
    file: std::path::PathBuf,
    meddles: Arc<AtomicBool>,
}

impl load::Compile for Meddler {
    fn cached(&self, _: [u8; 32]) -> Option<Result<wasm::Component, wasm::LoadError>> {
        if self.meddles.load(Ordering::SeqCst) {
            fs::write(&self.file, "half a mod").unwrap();
        }
        None
    }

    fn compile(&self, wasm: &[u8], _: [u8; 32], _: Duration) -> Result<wasm::Component, wasm::LoadError> {
        self.engine.compile(wasm)
    }
}

/// A file may have the same content before and after the load, although it changed in between.
#[test]
fn a_file_that_was_another_while_it_was_loaded_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (a, webhook) = (dir.path().join("a.wasm"), dir.path().join("webhook.wasm"));
    for (file, variants) in [(a, [1, 2]), (webhook, [3, 4])] {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut current = variant(variants[0]);
        fs::write(&file, &current).unwrap();
        put(dir.path(), &format!("{name}.toml"), rules_toml("http://h/"));
        let meddles = Arc::new(AtomicBool::new(true));
        let meddler = Meddler {
            engine: engine(),
            file: file.clone(),
            meddles: Arc::clone(&meddles),
        };
        let host = Host::start_with(meddler, settings(Some(dir.path()), json!({})));
        for number in variants {
            let expected = format!("{name}.wasm changed while hookhost loaded it");
            assert!(host.problem(&name).contains(&expected), "{}", host.problem(&name));
            let before = host.number(&name);
            fs::write(&file, &current).unwrap();
            meddles.store(false, Ordering::SeqCst);
            host.look();
            assert_eq!(host.problem(&name), "");
            assert_eq!(host.number(&name), before.map_or(Some(1), |before| Some(before + 1)));
            assert_eq!(host.look().loaded, [], "it is what it was");
            // The same once more, while another version is active.
            current = variant(number + 10);
            fs::write(&file, &current).unwrap();
            meddles.store(true, Ordering::SeqCst);
            host.look();
        }
        // Content that is gone by then is lost.
        fs::remove_file(&file).unwrap();
        host.look();
        assert_eq!(host.problem(&name), "");
        assert_eq!(host.number(&name).is_some(), name == "webhook");
        fs::remove_file(dir.path().join(format!("{name}.toml"))).unwrap();
    }
}

#[test]
fn at_the_start_bad_files_are_reported_and_the_rest_runs() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "bad.wasm", "not wasm");
    put(dir.path(), "good.wasm", variant(1));
    put(dir.path(), "good.toml", rules_toml("http://good/"));
    put(dir.path(), "webhook.wasm", "not wasm either");
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.state("bad").unwrap().status, Status::Rejected);
    assert!(host.problem("bad").contains("bad.wasm cannot be loaded"));
    assert_eq!(host.state("good").unwrap().status, Status::Running);
    // The file changes nothing, as if it appeared later: the built-in module runs.
    assert_eq!(host.origin("webhook"), Some(Origin::BuiltIn));
    assert!(host.problem("webhook").contains("webhook.wasm cannot be loaded"));
    assert_eq!(&*host.answer("c", 1).source, "good");
    fs::remove_file(dir.path().join("bad.wasm")).unwrap();
    host.rescan();
    assert_eq!(host.state("bad"), None);
}
