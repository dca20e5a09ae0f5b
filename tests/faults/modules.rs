//! Modules that are replaced while messages pass.

use super::*;

/// A host whose module has settings in the modules folder, with its state in `data`.
pub(super) async fn modular_host(data: &Path, sink: &Sink) -> Host {
    Setup::new()
        .config(&config(data, &[sink.url("/hook")], ""))
        .modules()
        .start()
        .await
}

/// Replaces the module by a generation with other settings.
pub(super) async fn replace_module(host: &Host, sink: &Sink, number: u32) {
    let settings = format!(
        "[config]\nurls = [{:?}]\n[[config.rule.message_publish]]\naction = \"{number}\"\nacknowledge = \"durable\"\n\
         [limits]\ninstances = {}\n",
        sink.url("/hook"),
        1 + number % 3
    );
    host.drop_module("webhook.toml", settings);
    host.ask(&["modules", "rescan"]).await;
}

#[tokio::test]
async fn a_module_that_is_replaced_again_and_again() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut host = modular_host(data.path(), &sink).await;
    let publishers = Publishers::start(host.address, &Plan::default());
    for round in 1..=2 {
        for number in 1..=4 {
            publishers.go_on(100).await;
            replace_module(&host, &sink, number).await;
        }
        if round == 1 {
            kill(&mut host).await;
            host = modular_host(data.path(), &sink).await;
            publishers.move_to(host.address);
        }
    }
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("replaced: {tally}");
    tally.assert_complete();
    host.stop().await;
}
