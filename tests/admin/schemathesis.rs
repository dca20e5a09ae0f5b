//! schemathesis against a running host: every answer is as the OpenAPI document says.

use std::process::Command;

use hookhost_tests::host::{Setup, ended};
use hookhost_tests::pypi;

const PACKAGE: &str = "schemathesis==4.32.5";

/// The document says nothing about some rules of values, such as those of topic filters. Two answers never end, and
/// schemathesis cannot make a WebAssembly module.
const OPTIONS: [&str; 17] = [
    "--exclude-checks",
    "positive_data_acceptance",
    "--exclude-path",
    "/api/v1/overview/stream",
    "--exclude-path",
    "/api/v1/tap",
    "--exclude-path",
    "/api/v1/module-files/{name}",
    "--phases",
    "coverage,fuzzing",
    // Few, so that the test takes seconds; the same at each run.
    "--max-examples",
    "2",
    "--generation-deterministic",
    "--no-shrink",
    "--no-color",
    "--request-timeout",
    "60",
];

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let install = tokio::task::spawn_blocking(|| pypi::install(PACKAGE, "schemathesis"));
    let Some(schemathesis) = pypi::or_skip(&install.await.unwrap(), "schemathesis", "HOOKHOST_TEST_PYPI") else {
        return;
    };
    let mut host = Setup::new().modules().arg("--data").arg("data").start().await;
    let mut command = Command::new(schemathesis);
    command.arg("run").args(OPTIONS);
    command.arg(format!("http://{}/openapi.json", host.admin.unwrap()));
    command.current_dir(host.dir());
    let done = ended(command).await;
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    host.stop().await;
}
