//! A client's life, step by step: which webhooks each step causes, in which order per client, with which body.
//! Both protocol versions go through the same scripts; `$…` in an expectation is what differs between them.

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
mod messages;
mod sessions;
mod subscriptions;
