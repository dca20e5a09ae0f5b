//! The client scripts that real brokers were recorded with, played against the real binary with the recording's own
//! configuration: the requests of every step must be those of the broker. See README.md in this folder.

mod client;
mod emqx;
mod mask;
mod nanomq;
mod properties;
mod recording;
mod run;

use recording::{Order, Recording};
use run::Run;

/// The recording of a broker and the list of differences.
macro_rules! recording {
    ($broker:literal, $order:expr) => {
        Recording::read(
            include_str!(concat!($broker, ".jsonl")),
            include_str!(concat!($broker, "-differences.toml")),
            $order,
        )
    };
}

#[tokio::test]
async fn emqx4() {
    let recording = recording!("emqx4", Order::PerClient);
    let mut run = Run::start("emqx_web_hook.conf", "", recording).await;
    emqx::play(&mut run).await;
    run.finish();
}

#[tokio::test]
async fn emqx5() {
    let mut run = Run::start("cluster.hocon", "", recording!("emqx5", Order::None)).await;
    emqx::play(&mut run).await;
    run.finish();
}

#[tokio::test]
async fn rmqtt() {
    let recording = recording!("rmqtt", Order::PerClient);
    let mut run = Run::start("rmqtt-web-hook.toml", "", recording).await;
    emqx::play(&mut run).await;
    run.finish();
}

#[tokio::test]
async fn nanomq() {
    // The default of 10 s could run out between two steps on a busy machine.
    let settings = "mqtt.default_session_expiry_interval = \"1h\"\n";
    let mut run = Run::start("nanomq.conf", settings, recording!("nanomq", Order::None)).await;
    nanomq::play(&mut run).await;
    run.finish();
}
