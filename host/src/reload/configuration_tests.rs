//! What is read again of a configuration.

use super::*;

#[test]
fn what_is_read_again_is_all_of_a_configuration_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hookhost.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("[webhook]\nurls = [\"http://one/\"]\n");
    let flags = Flags {
        config: Some(path.clone()),
        ..Flags::default()
    };
    let origin = Origin::new(flags, Environment::new());
    let mut loaded = origin.load().unwrap();
    let first = reloadable(&loaded.config);
    let mut configuration = Configuration::new(origin.clone(), &loaded);
    assert_eq!(configuration.files(), std::slice::from_ref(&path));
    let read = |configuration: &mut Configuration| {
        let ReadAgain { settings, warnings, .. } = configuration.read(None);
        let settings = settings.map(|settings| settings == first);
        (settings.map_err(|refused| refused.problems.len()), warnings)
    };
    assert_eq!(read(&mut configuration), (Ok(true), vec![]));
    write("[webhook]\nurls = [\"http://two/\"]\n[hooks]\nbatch = 3\n");
    let restart = format!(
        "{}:4: hooks.batch: needs a restart: it cannot change while the host runs",
        path.display()
    );
    assert_eq!(read(&mut configuration), (Ok(false), vec![restart]));
    write("[webhook]\nurls = 1\nformt = \"x\"\n");
    let (problems, warnings) = read(&mut configuration);
    assert_eq!((problems, warnings), (Err(2), vec![]));

    // A pipe is empty on the second read.
    loaded.files = vec!["/dev/null".into()];
    let mut configuration = Configuration::new(origin, &loaded);
    assert_eq!(configuration.files(), [""; 0].map(PathBuf::from));
    let warning = "/dev/null: is not a regular file and is not read again".to_owned();
    assert_eq!(read(&mut configuration), (Ok(true), vec![warning]));
}

/// The listeners of a host do not change while it runs, whatever addresses the new configuration has.
#[test]
fn a_reload_does_not_open_the_running_listeners_to_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hookhost.toml");
    let emqx = dir.path().join("emqx.conf");
    let flags = Flags {
        config: Some(path.clone()),
        webhook_config: Some(emqx.clone()),
        ..Flags::default()
    };
    let webhook =
        "web.hook.url = http://h/\nweb.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n";
    let users = "auth.user.1.username = a\nauth.user.1.password = b\n";
    let everywhere = "listener.tcp.external = 0.0.0.0:1883\n";
    let own_users = "[[authentication]]\nsource = \"password\"\nusers = { a = \"b\" }\n";
    for (name, own, theirs, later_own, later_theirs) in [
        // The imported listener would stay local without the users.
        (
            "tcp:external",
            "",
            format!("{webhook}{everywhere}{users}"),
            "",
            format!("{webhook}{everywhere}"),
        ),
        (
            "tcp:default",
            &format!("{own_users}[mqtt]\nlisten = \"0.0.0.0:1883\"\n"),
            webhook.to_owned(),
            "[mqtt]\nlisten = \"127.0.0.1:1883\"\n",
            webhook.to_owned(),
        ),
    ] {
        std::fs::write(&path, own).unwrap();
        std::fs::write(&emqx, theirs).unwrap();
        let origin = Origin::new(flags.clone(), Environment::new());
        let mut configuration = Configuration::new(origin.clone(), &origin.load().unwrap());
        assert!(configuration.read(None).settings.is_ok());
        std::fs::write(&path, later_own).unwrap();
        std::fs::write(&emqx, later_theirs).unwrap();
        let read = configuration.read(None);
        assert!(read.own.is_none());
        let problems = read.settings.map(|_| ()).unwrap_err().problems;
        let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(
            texts,
            [format!(
                "listener {name}: other machines can reach 0.0.0.0:1883, and every client would be accepted: add \
                 [[authentication]], or set mqtt.allow_anonymous = true to accept clients without credentials"
            )]
        );
    }
}
