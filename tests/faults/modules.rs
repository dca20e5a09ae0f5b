//! Modules that are replaced while messages pass.

use super::*;

/// Replaces the module by a generation with the rules of [`config`] and another number of instances. Waits until it is
/// active.
pub(super) async fn replace_module(host: &Host, urls: &[String]) {
    let before = generation(host).await;
    let settings = format!(
        "[config]\nurls = {urls:?}\n\
         [[config.rule.message_publish]]\naction = \"durable {before}\"\ntopics = [\"d/#\"]\nacknowledge = \"durable\"\n\
         [[config.rule.message_publish]]\naction = \"plain\"\ntopics = [\"p/#\"]\n\
         [limits]\ninstances = {}\n",
        1 + before % 3
    );
    host.drop_module("webhook.toml", settings);
    host.ask(&["modules", "rescan"]).await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while generation(host).await == before {
        assert!(tokio::time::Instant::now() < deadline, "the module is not replaced");
        tick.tick().await;
    }
}

/// The number of the active generation of the only module.
async fn generation(host: &Host) -> u64 {
    let answer: serde_json::Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    let number = answer["modules"][0]["generation"]["number"].as_u64();
    number.unwrap_or_else(|| panic!("no generation: {answer}"))
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
