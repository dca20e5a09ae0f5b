//! What an operator can do about an error of a socket.

use std::io;

/// The process has no file descriptor left: `EMFILE` of Linux, macOS and the BSDs.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Returns what helps against an error of a socket, to be added to a message; empty if nothing is known.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => {
            "; raise the limit of open files with ulimit -n, or LimitNOFILE= of systemd"
        }
        io::ErrorKind::AddrInUse => "; stop the program that uses this port, or choose another address",
        io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
        io::ErrorKind::PermissionDenied => "; choose a port above 1023, or an address that this user may use",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_have_an_advice() {
        let open_files = io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES);
        assert!(advice(&open_files).contains("ulimit -n"));
        assert!(advice(&io::ErrorKind::AddrInUse.into()).contains("choose another address"));
        assert_eq!(advice(&io::ErrorKind::BrokenPipe.into()), "");
    }
}
