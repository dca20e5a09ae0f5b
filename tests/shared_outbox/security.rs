//! How a host authenticates at NATS, and TLS.

use std::path::Path;

use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::Sink;
use hookhost_tests::tls::{Authority, Issued, Subject};
use hookhost_tests::{PATIENCE, Version};

use super::config;

/// An NKey that was made for this test: seed and public key.
const NKEY: (&str, &str) = (
    "SUAM5BB2UHEA7CYZAG6Q2XNZ6Q6VS34LQEYMCQFRYKZCXPDB5ISPFVZTZA",
    "UDFAYCEE64BZNJVNOL7ATXN7P4KXHLB2LCNZNIQKZVL4RA5HWF7R4H2E",
);

/// An operator with an account, and the credentials of a user of this account, made for this test. They do not expire.
const OPERATOR: &str = include_str!("keys/operator.conf");
const USER: &str = include_str!("keys/user.creds");

/// Starts a host with these lines of `[delivery.nats]`, and checks that it can use JetStream.
async fn assert_delivers(nats: &Nats, more: &str) {
    let sink = Sink::start().await;
    let mut host = Setup::new().config(&config(nats, &sink, more)).start().await;
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    client.publish("t", 1, "1").await;
    sink.wait_for(1, PATIENCE).await;
    host.stop().await;
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    format!("{path:?}")
}

#[tokio::test]
async fn a_host_authenticates_with_an_nkey() {
    let dir = tempfile::tempdir().unwrap();
    let users = format!("authorization {{ users = [ {{ nkey: {} }} ] }}\n", NKEY.1);
    let Some(nats) = Nats::start_with(1, &users).await else {
        return;
    };
    let seed = write(dir.path(), "seed", NKEY.0);
    assert_delivers(&nats, &format!("nkey_file = {seed}")).await;
}

#[tokio::test]
async fn a_host_authenticates_with_a_credentials_file() {
    let dir = tempfile::tempdir().unwrap();
    let Some(nats) = Nats::start_with(1, OPERATOR).await else {
        return;
    };
    let file = write(dir.path(), "user.creds", USER);
    assert_delivers(&nats, &format!("credentials_file = {file}")).await;
}

#[tokio::test]
async fn a_host_authenticates_with_user_and_password_and_is_refused_without() {
    let users = "authorization { users = [ { user: hookhost, password: \"a b\" } ] }\n";
    let Some(nats) = Nats::start_with(1, users).await else {
        return;
    };
    assert_delivers(&nats, "user = \"hookhost\"\npassword = \"a b\"").await;
    let sink = Sink::start().await;
    let ended = Setup::new().config(&config(&nats, &sink, "")).ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "cannot connect to NATS: authorization violation";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[tokio::test]
async fn host_and_server_know_each_other_by_their_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("test");
    let ca = write(dir.path(), "ca.pem", authority.pem());
    let files = |name: &str, Issued { certificate, key }: Issued| {
        let certificate = write(dir.path(), &format!("{name}.pem"), &certificate);
        (certificate, write(dir.path(), &format!("{name}-key.pem"), &key))
    };
    let (certificate, key) = files("server", authority.issue(Subject::Local));
    let tls = format!("tls {{ cert_file: {certificate}, key_file: {key}, ca_file: {ca}, verify: true }}\n");
    let Some(nats) = Nats::start_with(1, &tls).await else {
        return;
    };
    let (certificate, key) = files("client", authority.issue(Subject::Client));
    assert_delivers(
        &nats,
        &format!("ca_file = {ca}\ncert_file = {certificate}\nkey_file = {key}"),
    )
    .await;
}
