//! The example file.

use super::*;

const EXAMPLE: &str = include_str!("../../../../hookhost.example.toml");

#[test]
fn the_example_file_holds_every_key_with_its_default() {
    let example = inputs(EXAMPLE);
    let report = Report::default();
    let no_files: &Files<'_> = &|_| Err(std::io::ErrorKind::NotFound.into());
    let Merged { settings, broker, .. } = layers::read(&example, no_files, &report);
    let root = Section::root(&report, Place::flag(""), settings);
    read_sections(root, broker, None, [None, None], Table::new(), &example, &|_| {
        Err(io::ErrorKind::Unsupported.into())
    });
    let known = report.known_keys();
    let Loaded {
        config: example,
        warnings,
        ..
    } = read(&example).unwrap();
    assert_eq!(warnings, []);
    let defaults = config(&Inputs::default());
    let webhook = Webhook {
        rules: RulesFrom::Default,
        urls_missing: true,
        places: Default::default(),
        ..example.webhook.clone()
    };
    assert_eq!(Config { webhook, ..example }, defaults);

    // Keys without a default are comments in the file.
    let mut section = "";
    let mut written = Vec::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ") {
            written.push(format!("{section}.{key}"));
        }
    }
    // Tables and lists of tables with names of the user's own.
    let own = [
        "webhook.rule.",
        "destinations.",
        "webhooks.",
        "[listener].",
        "[authentication].",
        "[access.rule].",
        "access.http.",
        "delivery.nats.",
    ];
    written.retain(|key| !own.iter().any(|own| key.starts_with(own)));
    written.extend(["webhook.rule", "listener", "authentication", "access.rule"].map(str::to_owned));
    let mut known = known;
    known.retain(|key| !key.starts_with("destinations."));
    known.sort();
    known.dedup();
    written.sort();
    assert_eq!(written, known);
}

#[test]
fn the_settings_of_nats_in_the_example_file_are_the_defaults() {
    let lines = EXAMPLE.lines().skip_while(|line| *line != "#[delivery.nats]").skip(1);
    let lines = lines.take_while(|line| line.starts_with('#'));
    let settings = lines.filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
    // The others name files that do not exist.
    let settings: Vec<&str> = settings.filter(|line| !line.contains("_file = ")).collect();
    assert_eq!(settings.len(), 6, "{settings:?}");
    let read = |settings: &str| {
        let text = format!("[delivery]\noutbox = \"nats://a\"\n[delivery.nats]\n{settings}\n");
        config(&inputs(&text)).shared_outbox.unwrap()
    };
    assert_eq!(read(&settings.join("\n")), read(""));
}
