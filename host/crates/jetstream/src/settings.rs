//! Settings of the shared outbox.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the shared outbox. All hosts of one outbox have the same `name`, `partitions` and `lease`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The servers, as `nats://HOST:PORT` or `tls://HOST:PORT`. The client finds further servers of the cluster by itself.
    pub servers: Vec<String>,
    /// The name of the stream, and the first part of the subjects and of the name of the bucket.
    pub name: String,
    /// Number of partitions, 1 to 1024. The hosts share them, so there can be at most as many hosts that deliver.
    pub partitions: u16,
    /// On how many servers the stream is, 1 to 5. A record is stored when most of them have it.
    pub replicas: u8,
    /// Limit of the bytes in the stream. At the limit, hosts wait.
    pub max_bytes: u64,
    /// Limit of the age of a record. The server drops older ones. `None`: no limit.
    pub max_age: Option<Duration>,
    /// After this time without a sign of life, other hosts deliver the partitions of a host.
    pub lease: Duration,
    /// Limits of the dead letters.
    pub dead_letters: LetterLimits,
    /// How the host authenticates.
    pub credentials: Credentials,
    /// TLS for `tls://` URLs, and for servers that require it.
    pub tls: TlsSettings,
}

/// Limits of the dead letters of all hosts. At a limit the server drops the oldest ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterLimits {
    /// Maximum number of letters.
    pub records: u64,
    /// Maximum bytes of the letters.
    pub bytes: u64,
    /// Maximum age of a letter; `None` for no limit.
    pub age: Option<Duration>,
}

/// How the host authenticates.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// With user and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// The content of a `.creds` file: a JWT and the seed of its NKey.
    File(String),
    /// The seed of an NKey.
    NKey(String),
}

impl std::fmt::Debug for Credentials {
    /// Leaves out the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Password { .. } => "Password(***)",
            Credentials::File(_) => "File(***)",
            Credentials::NKey(_) => "NKey(***)",
        })
    }
}

/// Certificates of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// A PEM file with certificates to trust, in addition to those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the client certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            servers: Vec::new(),
            name: "hookhost-outbox".to_owned(),
            partitions: 64,
            replicas: 1,
            max_bytes: 10 << 30,
            max_age: None,
            lease: Duration::from_secs(3),
            dead_letters: LetterLimits {
                records: 10_000,
                bytes: 64 << 20,
                age: Some(Duration::from_secs(30 * 24 * 3600)),
            },
            credentials: Credentials::None,
            tls: TlsSettings::default(),
        }
    }
}
