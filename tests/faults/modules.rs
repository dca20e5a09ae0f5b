//! Modules that are replaced while messages pass.

use super::*;

/// Replaces the module by a generation with the rules of [`config`] and another number of instances. Waits until it is
/// active.
pub(super) async fn replace_module(host: &Host, urls: &[String]) {
    /// The number of the active generation of the only module.
    const GENERATION: &str = "hookhost_module_generation{";
    let before = Metrics::read(host).await.sum(GENERATION);
    let settings = format!(
        "[config]\nurls = {urls:?}\n\
         [[config.rule.message_publish]]\naction = \"durable {before}\"\ntopics = [\"d/#\"]\nacknowledge = \"durable\"\n\
         [[config.rule.message_publish]]\naction = \"plain\"\ntopics = [\"p/#\"]\n\
         [limits]\ninstances = {}\n",
        1 + before as u64 % 3
    );
    host.drop_module("webhook.toml", settings);
    host.ask(&["modules", "rescan"]).await;
    let is_replaced = |metrics: &Metrics| metrics.sum(GENERATION) > before;
    until(host, "replaced", is_replaced).await;
}

#[tokio::test]
async fn a_module_that_is_replaced_again_and_again() {
    let sink = Sink::start().await;
    let urls = [sink.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    for round in 1..=2 {
        for _ in 0..4 {
            publishers.go_on(100).await;
            replace_module(&host, &urls).await;
        }
        if round == 1 {
            kill(&mut host).await;
            host = super::host(data.path(), &urls, "").await;
            publishers.move_to(host.address);
        }
    }
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("replaced: {tally}");
    tally.assert_complete();
    stop_balanced(host, 0).await;
}
