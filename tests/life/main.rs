//! The life of a client, step by step: the webhooks of each step, their order per client, and their bodies. Both
//! protocol versions run the same scripts. `$…` in an expectation marks the differences between them.

macro_rules! in_both_versions {
    ($($script:ident),* $(,)?) => {
        mod mqtt_3_1_1 {
            $(#[tokio::test] async fn $script() { super::$script(hookhost_tests::Version::V311).await })*
        }
        mod mqtt_5 {
            $(#[tokio::test] async fn $script() { super::$script(hookhost_tests::Version::V5).await })*
        }
    };
}

mod connections;
mod memory;
mod messages;
mod properties;
mod sessions;
mod subscriptions;
