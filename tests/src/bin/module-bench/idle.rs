//! Memory of an idle module: the real host without it, and with several copies of it.

use std::path::Path;
use std::time::Duration;

use hookhost_tests::host::{Host, Setup};

use crate::guest::Subject;
use crate::table::Table;

/// How long the host may take to compile an interpreter.
const COMPILING: Duration = Duration::from_secs(600);

/// Adds the resident memory of one idle module with its instances, whose code comes from the cache. Also adds the extra
/// memory of a host that had to compile them: the allocator has not returned it to the system.
pub(crate) fn memory(table: &mut Table, subject: &Subject, copies: u8) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cache = tempfile::tempdir()?;
        // The first host compiles the built-in module.
        resident(subject, 0, cache.path()).await;
        let without = resident(subject, 0, cache.path()).await;
        let compiled = resident(subject, copies, cache.path()).await;
        let cached = resident(subject, copies, cache.path()).await;
        table.add(
            "idle in the host, each module, MB",
            (cached - without) / f64::from(copies),
        );
        table.add("left by the compiler, all together, MB", compiled - cached);
        Ok(())
    })
}

/// Megabytes of a host with this number of modules.
async fn resident(subject: &Subject, copies: u8, cache: &Path) -> f64 {
    let host = host(subject, copies, cache).await;
    host.resident() as f64 * 1024.0 / 1e6
}

async fn host(subject: &Subject, copies: u8, cache: &Path) -> Host {
    let config: serde_json::Value = serde_json::from_str(&subject.config).expect("the settings are JSON");
    let config = toml::Value::try_from(config).expect("the settings are a table");
    let settings = toml::to_string(&toml::Table::from_iter([("config".to_owned(), config)])).expect("a table is TOML");
    let setup = Setup::new()
        .modules()
        .env("XDG_CACHE_HOME", &cache.display().to_string());
    let host = setup.start().await;
    for copy in 0..copies {
        // One more custom section makes each copy a separate component.
        let mut wasm = subject.wasm.clone();
        wasm.extend([0, 3, 1, b'n', copy]);
        let name = format!("copy-{copy}");
        host.drop_module(&format!("{name}.toml"), &settings);
        host.drop_module(&format!("{name}.wasm"), wasm);
        let in_force = |line: &str| line.contains(&name) && line.contains("module activated");
        host.log().wait("the module activated", COMPILING, in_force).await;
    }
    host
}
