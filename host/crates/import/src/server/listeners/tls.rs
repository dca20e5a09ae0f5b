//! Certificates of a listener and of its clients.

use hookhost_settings::{Place, Section, Value};

use super::super::service::{is_on, resolved_path};
use super::super::text;
use crate::Sources;

/// Reads the keys beside or below `ssl_options`. Reports a listener that hookhost cannot open without them.
pub(super) fn tls(
    options: &mut Section<'_>,
    listener: &Place,
    sources: &Sources<'_>,
    put: &mut dyn FnMut(&str, &Place, Value),
) {
    let report = options.report();
    let existing = |place: &Place, path: &str| {
        let path = resolved_path(path, sources);
        if let Err(error) = (sources.files)(path.as_ref()) {
            report.problem(place, format!("{path} cannot be read: {error}"));
        }
        Value::Text(path)
    };
    for (theirs, ours) in [("certfile", "certificate"), ("keyfile", "key")] {
        match text(options, theirs) {
            Some((place, path)) => put(ours, &place, existing(&place, &path)),
            None => report.problem(
                listener,
                format!("needs {theirs}: hookhost has no certificate of its own"),
            ),
        }
    }
    let (ca, verify) = (text(options, "cacertfile"), text(options, "verify"));
    let is_required = is_on(options, "fail_if_no_peer_cert") == Some(true);
    let mut verifies = is_on(options, "verify_peer") == Some(true);
    if let Some((place, verify)) = &verify {
        match verify.as_str() {
            "verify_peer" => verifies = true,
            "verify_none" | "" => {}
            _ => report.problem(place, "should be verify_peer or verify_none"),
        }
    }
    if verifies {
        let demand = if is_required { "required" } else { "optional" };
        let place = verify.map_or_else(|| options.place().clone(), |(place, _)| place);
        put("client_certificates", &place, Value::Text(demand.to_owned()));
        match ca {
            Some((place, path)) => put("client_ca", &place, existing(&place, &path)),
            None => report.problem(&place, "needs cacertfile: the authorities of clients' certificates"),
        }
    }
    if let Some(setting) = options.take("versions").or_else(|| options.take("tls_versions")) {
        let (versions, problems) = setting.texts(true, |version| Ok(version.to_owned()));
        problems.into_iter().for_each(|problem| report.add_problem(problem));
        let has = |number: &str| versions.iter().any(|version| version.contains(number));
        if has("1.3") && !has("1.2") {
            put("min_tls_version", &setting.place, Value::Text("1.3".to_owned()));
        }
    }
}
