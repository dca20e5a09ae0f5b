//! Addresses of the admin API: which ones it can use, how commands find it, and TLS.

use std::net::TcpListener;

use hookhost_tests::PATIENCE;
use hookhost_tests::host::{self, Ended, Setup, ended};
use hookhost_tests::process::Process;
use hookhost_tests::tls::{Authority, Subject};
use rustix::process::Signal;
use tempfile::TempDir;

async fn run(dir: &TempDir, args: &[&str]) -> Ended {
    let mut command = host::command(dir.path());
    command.args(args);
    ended(command).await
}

#[tokio::test]
async fn addresses_that_cannot_be() {
    let dir = TempDir::new().unwrap();
    for (args, words) in [
        (vec!["check", "--admin", "nowhere"], vec!["--admin", "\"off\""]),
        (vec!["check", "--admin", "0.0.0.0:0"], vec!["--admin", "admin.token"]),
    ] {
        let ended = run(&dir, &args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        for word in words {
            assert!(
                ended.stderr.contains(word),
                "{args:?}: {word} is not in {}",
                ended.stderr
            );
        }
    }
    assert_eq!(run(&dir, &["check", "--admin", "off"]).await.code, Some(0));
    let config = dir.path().join("c.toml");
    for (text, word) in [
        ("[admin]\ntoken = \"short\"", "16 characters"),
        ("[admin]\ntoken_file = \"missing\"", "missing"),
        (
            "[admin]\ntoken_file = \"c.toml\"\ntoken = \"0123456789abcdef\"",
            "one of them",
        ),
        ("[admin]\ntokenn = \"x\"", "admin.token"),
        ("[admin]\nviewer_token = \"0123456789abcdef\"", "needs admin.token"),
        ("[admin]\ntoken = \"sha256:12\"", "64 hex digits"),
        ("[admin]\nkey = \"c.toml\"", "needs `certificate` and `key`"),
        (
            "[admin]\ncertificate = \"c.toml\"\nkey = \"c.toml\"",
            "holds no certificate",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let ended = run(&dir, &["check", "--config", "c.toml"]).await;
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert!(
            ended.stderr.contains(word) && !ended.stderr.contains("short"),
            "{text}: {}",
            ended.stderr
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&dir, &["run", "--listen", "127.0.0.1:0", "--admin", &address]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("--admin"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_default_address_in_use_keeps_no_host_from_starting() {
    // The address may be in use by this test or another program.
    let _taken = TcpListener::bind("127.0.0.1:18083");
    let dir = TempDir::new().unwrap();
    let mut command = host::command(dir.path());
    command.args(["run", "--listen", "127.0.0.1:0"]);
    let mut process = Process::start(command);
    let ready = process
        .stderr
        .wait("ready", PATIENCE, |line| line.contains("ready mqtt="))
        .await;
    assert!(
        ready.contains("admin=\"off\"") || ready.contains("admin=off"),
        "{ready}"
    );
    let log = process.stderr.lines().join("\n");
    assert!(log.contains("127.0.0.1:18083") && log.contains("--admin"), "{log}");
    process.signal(Signal::TERM);
    assert_eq!(process.wait(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn commands_say_where_they_have_looked_for_a_host() {
    let dir = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let ended = run(&dir, &["quarantine", "list", "--admin", &free]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains(&free) && ended.stderr.contains("--admin"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_a_certificate_that_is_renewed() {
    let setup = Setup::new();
    let dir = setup.dir().to_owned();
    let write_certificate = |authority: &Authority| {
        let server = authority.issue(Subject::Local);
        let files = [
            ("ca.pem", authority.pem()),
            ("server.pem", &server.certificate),
            ("server.key", &server.key),
        ];
        for (name, content) in files {
            std::fs::write(dir.join(name), content).unwrap();
        }
    };
    write_certificate(&Authority::new("authority"));
    let config = "[admin]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let host = setup.config(config).start().await;
    let ready = |address: String, arguments: &[&str]| {
        let mut command = host::command(host.dir());
        command.arg("ready").args(arguments).env("HOOKHOST_ADMIN", address);
        ended(command)
    };
    let address = host.admin.unwrap();
    let trusted = || ready(format!("https://{address}"), &["--ca-file", "ca.pem"]);
    let first = trusted().await;
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), "ready\n"), "{first:?}");
    for (address, text) in [
        (format!("https://{address}"), "--ca-file FILE"),
        (address.to_string(), "the admin API expects https: at this address"),
    ] {
        let refused = ready(address, &[]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(text), "{refused:?}");
    }
    write_certificate(&Authority::new("renewed"));
    let renewed = |line: &str| line.contains("TLS files reloaded") && line.contains("listener=\"admin\"");
    host.log().wait("the new certificate", PATIENCE, renewed).await;
    let later = trusted().await;
    assert_eq!(
        later.code,
        Some(0),
        "the command trusts the new authority only: {later:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_have_a_client_certificate() {
    let setup = Setup::new();
    let authority = Authority::new("authority");
    let (server, client) = (authority.issue(Subject::Local), authority.issue(Subject::Client));
    for (name, content) in [
        ("ca.pem", authority.pem()),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("client.pem", &client.certificate),
        ("client.key", &client.key),
    ] {
        std::fs::write(setup.dir().join(name), content).unwrap();
    }
    let config = "[admin]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
                  client_certificates = \"required\"\nclient_ca = \"ca.pem\"\n";
    let host = setup.config(config).start().await;
    let ready = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = host::command(host.dir());
        command.args(["ready", "--ca-file", "ca.pem"]).args(arguments);
        command.env("HOOKHOST_ADMIN", format!("https://{}", host.admin.unwrap()));
        command.envs(variables.iter().copied());
        ended(command)
    };
    let flags = ["--cert-file", "client.pem", "--key-file", "client.key"];
    let variables = [
        ("HOOKHOST_ADMIN_CERT_FILE", "client.pem"),
        ("HOOKHOST_ADMIN_KEY_FILE", "client.key"),
    ];
    for (arguments, variables) in [(&flags[..], &[][..]), (&[], &variables), (&flags[2..], &variables[..1])] {
        let accepted = ready(arguments, variables).await;
        assert_eq!(
            (accepted.code, accepted.stdout.as_str()),
            (Some(0), "ready\n"),
            "{accepted:?}"
        );
    }
    for (arguments, text) in [
        (&[][..], "--cert-file"),
        (&flags[..2], "needs both --cert-file FILE and --key-file FILE"),
        (
            &["--cert-file", "client.key", "--key-file", "client.key"],
            "client.key holds no certificate",
        ),
        (
            &["--cert-file", "client.pem", "--key-file", "missing"],
            "missing cannot be read",
        ),
    ] {
        let refused = ready(arguments, &[]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(text), "{text}: {refused:?}");
    }
}
