//! Memory that a module costs the host while nothing happens: the real host with one copy of it and with eleven.

use hookhost_tests::host::{Host, Setup};

use crate::guest::Subject;
use crate::table::Table;

const COPIES: usize = 10;

/// Adds the resident memory of one idle module with its instances, when the host has to compile it and when it finds it
/// in its cache.
pub(crate) fn memory(table: &mut Table, subject: &Subject) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let caches = [tempfile::tempdir()?, tempfile::tempdir()?];
        for name in [
            "memory of an idle module, compiled, MB",
            "memory of an idle module, from the cache, MB",
        ] {
            let one = host(subject, 1, caches[0].path()).await;
            let more = host(subject, 1 + COPIES, caches[1].path()).await;
            let kilobytes = more.resident() as f64 - one.resident() as f64;
            table.add(name, kilobytes / 1000.0 / COPIES as f64);
        }
        Ok(())
    })
}

async fn host(subject: &Subject, copies: usize, cache: &std::path::Path) -> Host {
    let config: serde_json::Value = serde_json::from_str(&subject.config).expect("the settings are JSON");
    let config = toml::Value::try_from(config).expect("the settings are a table");
    let settings = toml::to_string(&toml::Table::from_iter([("config".to_owned(), config)])).expect("a table is TOML");
    let mut setup = Setup::new()
        .modules()
        .env("XDG_CACHE_HOME", &cache.display().to_string());
    for copy in 0..copies {
        // A custom section more makes each copy a component of its own to the cache.
        let mut wasm = subject.wasm.clone();
        wasm.extend([0, 3, 1, b'n', copy as u8]);
        setup = setup
            .module_file(&format!("m{copy}.wasm"), wasm)
            .module_file(&format!("m{copy}.toml"), &settings);
    }
    let host = setup.start().await;
    for copy in 0..copies {
        let name = format!("m{copy}");
        host.log()
            .wait("the module's load", hookhost_tests::PATIENCE, |line| {
                line.contains(&name)
            })
            .await;
    }
    host
}
