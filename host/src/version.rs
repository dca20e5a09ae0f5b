//! What this build is.

/// Version of the host.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit of the source, shortened; `unknown` in a debug build and in a build without a git repository.
pub const COMMIT: &str = env!("HOOKHOST_COMMIT");

/// The interface of modules with its version, such as `hookhost:hook@0.1.0`.
pub const INTERFACE: &str = env!("HOOKHOST_INTERFACE");

/// Version, commit and interface in one line, for `--version`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("HOOKHOST_COMMIT"),
    ", interface ",
    env!("HOOKHOST_INTERFACE"),
    ")"
);
