//! The output of `webhook convert` gives the same configuration as the broker's own file.

use super::*;

const CASES: [(&str, &str); 3] = [
    (
        "emqx4-compose.env",
        include_str!("../../../crates/import/src/testdata/emqx4-compose.env"),
    ),
    (
        "nanomq-page.conf",
        include_str!("../../../crates/import/src/testdata/nanomq-page.conf"),
    ),
    (
        "rmqtt.toml",
        "urls = [\"http://a/\\u0022\"]\nhttp_timeout = \"3s\"\nrule.client_connect = [{action = \"x\\n\", topics = [\"a\"]}]\nrule.client_connack = []\n",
    ),
];

#[test]
fn the_whole_configuration_is_the_same() {
    for (path, text) in CASES {
        let file = TextFile {
            path: path.into(),
            text: text.to_owned(),
        };
        let convert = Convert {
            file: Some(file.clone()),
            environment: [("HOOK_TOKEN".to_owned(), "Bearer abc".to_owned())].into(),
            ..Convert::default()
        };
        let no_files: &super::super::Files<'_> = &|_| Err(std::io::ErrorKind::NotFound.into());
        let written = convert.run(no_files).unwrap();
        let converted = TextFile {
            path: "f".into(),
            text: written.replace("client_connack = []\n", ""),
        };
        let config = |inputs: &Inputs| -> Config {
            let mut config = read(inputs).unwrap_or_else(|problems| panic!("{problems:?}")).config;
            config.webhook.rules = RulesFrom::Default;
            config.webhook.places = Places::default();
            // The broker's own default is written out.
            if let Some(config) = config.webhook.config.as_object_mut() {
                config
                    .get_mut("rule")
                    .and_then(|rule| rule.as_object_mut())
                    .map(|rule| rule.remove("client_connack"));
            }
            config
        };
        let there = config(&Inputs {
            webhook_file: Some(file),
            ..Inputs::default()
        });
        let here = config(&Inputs {
            file: Some(converted),
            ..Inputs::default()
        });
        assert_eq!(there, here, "{written}");
        assert_eq!(there.webhook.config, here.webhook.config);
    }
}
