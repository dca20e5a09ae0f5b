//! `hookhost users`: the users of a password file.
//!
//! The file is replaced as a whole, so a running host reads the old or the new one. A new file can be read by its owner
//! only; an existing one keeps its permissions.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Subcommand;
use hookhost_access::{Users, check_name, hash_password, with_user, without_user};

use crate::new_file::{NewFile, sync_folder};

/// Longest password in bytes; MQTT has no longer ones.
const MAX_PASSWORD_BYTES: usize = 65_535;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Add a user, or change the password of one; the password is read from standard input
    Add {
        /// User name
        name: String,
        /// Password file; created if it does not exist
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove a user
    Remove {
        /// User name
        name: String,
        /// Password file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List the names of all users
    List {
        /// Password file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// Carries out a command.
///
/// # Errors
///
/// The file cannot be read or written, or a name or password is invalid.
pub(super) fn users(command: UsersCommand) -> anyhow::Result<()> {
    match command {
        UsersCommand::Add { name, file } => {
            check_name(&name)?;
            let text = match read(&file) {
                Err(error) if is_missing(&error) => String::new(),
                text => text?,
            };
            let password = password()?;
            write(&file, &with_user(&text, &name, &hash_password(&password)?)?)
        }
        UsersCommand::Remove { name, file } => match without_user(&read(&file)?, &name) {
            Some(text) => write(&file, &text),
            None => bail!("there is no user {name} in {}", file.display()),
        },
        UsersCommand::List { file } => {
            let users = Users::parse(&read(&file)?);
            let users = users.map_err(|errors| {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("{}: {}", file.display(), lines.join("; "))
            })?;
            let mut names: Vec<&str> = users.names().collect();
            names.sort_unstable();
            names.iter().for_each(|name| println!("{name}"));
            Ok(())
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn is_missing(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Reads a password: a line of standard input, without its end. A terminal does not show it.
fn password() -> anyhow::Result<Vec<u8>> {
    let is_terminal = io::stdin().is_terminal();
    if is_terminal {
        eprint!("Password: ");
        show_input(false);
    }
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line);
    if is_terminal {
        show_input(true);
        eprintln!();
    }
    read.context("cannot read the password from standard input")?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.is_empty() || line.len() > MAX_PASSWORD_BYTES {
        bail!("a password has 1 to 65,535 bytes");
    }
    Ok(line)
}

/// Whether the terminal shows what is typed. Without `stty` it does.
fn show_input(is_shown: bool) {
    let echo = if is_shown { "echo" } else { "-echo" };
    let set = Command::new("stty").arg(echo).stderr(Stdio::null()).status();
    if !set.is_ok_and(|status| status.success()) && !is_shown {
        eprint!("(shown as you type) ");
    }
}

/// Replaces a file as a whole.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    // A symbolic link stays one.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let permissions = fs::metadata(&target).map_or(Permissions::from_mode(0o600), |metadata| metadata.permissions());
    let mut name = target.clone().into_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let replaced = NewFile::create(name.into(), 0o600).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.file().set_permissions(permissions)?;
        new.replace(&target)
    });
    replaced.with_context(|| format!("cannot write {}", file.display()))?;
    let flushed = sync_folder(&target);
    flushed.with_context(|| {
        let file = file.display();
        format!("{file} is written, but its folder cannot be flushed to the disk: a power failure may undo the change")
    })
}
