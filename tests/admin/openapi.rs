//! The OpenAPI document: it names every route of the host, and what it says about answers is true.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hookhost_tests::host::{Host, Setup};
use hookhost_tests::{binary, http};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Answers that never end.
const STREAMS: [&str; 2] = ["/api/v1/overview/stream", "/api/v1/tap"];

async fn document(host: &Host) -> Value {
    let answer = http::ask(host.admin.unwrap(), "GET /openapi.json", "").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    answer.json()
}

/// The methods of each path.
fn operations(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect();
    paths.map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// What a method and a path answer with.
async fn status(address: SocketAddr, method: &str, path: &str) -> u16 {
    let path = path.replace("{id}", "1").replace("{name}", "none");
    http::ask(address, &format!("{} {path}", method.to_uppercase()), "")
        .await
        .status
}

#[tokio::test]
async fn every_operation_of_the_document_is_a_route_and_there_are_no_others() {
    let host = Setup::new().start().await;
    let address = host.admin.unwrap();
    let document = document(&host).await;
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    for (path, methods) in &operations {
        let item = &document["paths"][path];
        for method in METHODS {
            // A stream is open as long as it is read.
            if methods.contains(method) && STREAMS.contains(&path.as_str()) {
                continue;
            }
            let status = status(address, method, path).await;
            if methods.contains(method) {
                assert!(
                    item[method]["responses"][status.to_string()].is_object(),
                    "{method} {path}: {status}"
                );
                assert!(
                    item[method]["summary"].is_string(),
                    "{method} {path} has no description"
                );
            } else {
                assert_eq!(status, 405, "{method} {path} is not in the document");
            }
        }
    }
    let names: BTreeSet<&str> = operations
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(move |method| (path, method)))
        .map(|(path, method)| document["paths"][path][method]["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(
        names.len(),
        operations.values().map(BTreeSet::len).sum::<usize>(),
        "each has its own name"
    );
    // Every schema that is named is there.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "there is no schema {name}"
        );
    }
    // No route bypasses the document, except files.
    let folder = binary::workspace().join("host/src/admin");
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let routes = text.lines().filter(|line| line.contains(".route("));
        let known = ["api.route(openapi::PATH, get(document))", "router.route("];
        let mut unknown = routes.filter(|line| !known.contains(&line.trim()));
        assert_eq!(unknown.next(), None, "{}", file.display());
    }
}

#[tokio::test]
async fn the_documentation_names_every_operation_and_no_other() {
    let host = Setup::new().start().await;
    let operations = operations(&document(&host).await);
    let known: BTreeSet<String> = operations
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(move |method| (path, method)))
        .map(|(path, method)| format!("{} {}", method.to_uppercase(), path.trim_start_matches("/api/v1")))
        .map(|operation| operation.replace("{name}", "NAME").replace("{id}", "ID"))
        // A module may have this name.
        .filter(|operation| operation != "GET /modules/rescan")
        .collect();
    let text = ["admin.md", "webhooks.md", "monitoring.md"]
        .map(|name| std::fs::read_to_string(binary::workspace().join("docs").join(name)).unwrap())
        .concat();
    let is_method = |word: &&str| {
        METHODS
            .iter()
            .any(|method| word.starts_with(&format!("{} /", method.to_uppercase())))
    };
    let in_code = text.split('`').filter(is_method);
    let named: BTreeSet<String> = in_code
        .map(|code| code.split('?').next().unwrap().replace("/api/v1", ""))
        .collect();
    let missing: Vec<&String> = known.difference(&named).collect();
    assert!(missing.is_empty(), "the documentation lacks {missing:?}");
    let unknown: Vec<&String> = named
        .difference(&known)
        .filter(|name| !name.contains(" /openapi"))
        .collect();
    assert!(unknown.is_empty(), "the host has no {unknown:?}");
}

#[tokio::test]
async fn the_document_and_its_page_need_no_token() {
    let host = Setup::new()
        .env("HOOKHOST_ADMIN__TOKEN", "a-token-that-is-long-enough")
        .start()
        .await;
    for (path, kind) in [("/openapi.json", "application/json"), ("/openapi", "text/html")] {
        let answer = http::ask(host.admin.unwrap(), &format!("GET {path}"), "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
}
