//! Checks passwords: argon2 on threads of its own, and a memory of what was verified.
//!
//! One check takes tens of milliseconds and 19 MiB on purpose, so it never runs on a thread of the broker. A bounded
//! queue leads to a few threads with a low priority. [`PasswordChecker`] remembers verified passwords, so that a client
//! that connects again costs microseconds. It keeps a hash of user name, password hash and password, with a key that
//! exists only in this process; memory and core dumps contain no password.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use ring::{hmac, rand};
use tokio::sync::oneshot;

use crate::users::StoredPassword;

/// Passwords that wait for a check. More logins are refused as busy.
const MAX_WAITING_CHECKS: usize = 1_024;
/// Verified passwords that are remembered. When it is full, the oldest is forgotten. 65,536 take about 5 MB.
const MAX_VERIFIED: usize = 65_536;
/// Niceness of the threads: under CPU pressure, clients that are connected get a larger share.
const NICE: i32 = 10;

/// A password cannot be hashed: the system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot hash the password: the system gives no random numbers or no memory")]
pub struct HashError;

/// Hashes a password with argon2id and a random salt; returns the PHC string. Takes tens of milliseconds.
///
/// # Errors
///
/// [`HashError`].
pub fn hash_password(password: &[u8]) -> Result<String, HashError> {
    let hash: PasswordHash = Argon2::default().hash_password(password).map_err(|_| HashError)?;
    Ok(hash.to_string())
}

/// The queue of checks is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Checks passwords.
pub(crate) struct PasswordChecker {
    key: hmac::Key,
    verified: Mutex<Verified>,
    /// The threads start with the first check.
    queue: OnceLock<SyncSender<Check>>,
}

#[derive(Default)]
struct Verified {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

/// A password to check.
struct Check {
    password: Vec<u8>,
    hash: Arc<str>,
    done: oneshot::Sender<bool>,
}

impl PasswordChecker {
    /// A checker that has verified nothing.
    pub(crate) fn new() -> PasswordChecker {
        let mut key = [0; 32];
        // Without random numbers nothing is remembered under a known key: `fill` fails only on a broken system, and
        // then the addresses of the process serve as a key.
        if ring::rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut key).is_err() {
            let state = std::hash::RandomState::new();
            key.iter_mut().enumerate().for_each(|(index, byte)| {
                *byte = std::hash::BuildHasher::hash_one(&state, index) as u8;
            });
        }
        PasswordChecker {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            verified: Mutex::default(),
            queue: OnceLock::new(),
        }
    }

    /// Whether this password was verified before. Costs microseconds.
    pub(crate) fn is_verified(&self, username: &str, stored: &StoredPassword, password: &[u8]) -> bool {
        match stored {
            StoredPassword::Hash(hash) => {
                let tag = self.tag(username, hash, password);
                let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
                verified.known.contains(&tag)
            }
            StoredPassword::Plain(expected) => {
                let tag = hmac::sign(&self.key, expected);
                hmac::verify(&self.key, password, tag.as_ref()).is_ok()
            }
        }
    }

    /// Checks a password, and remembers it if it is right.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many checks wait.
    pub(crate) async fn check(&self, username: &str, stored: &StoredPassword, password: &[u8]) -> Result<bool, Busy> {
        let StoredPassword::Hash(hash) = stored else {
            return Ok(self.is_verified(username, stored, password));
        };
        let (done, answer) = oneshot::channel();
        let check = Check {
            password: password.to_vec(),
            hash: Arc::clone(hash),
            done,
        };
        match self.queue.get_or_init(start_threads).try_send(check) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(Busy),
        }
        let is_right = answer.await.unwrap_or(false);
        if is_right {
            let tag = self.tag(username, hash, password);
            let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.known.insert(tag) {
                verified.order.push_back(tag);
            }
            if verified.order.len() > MAX_VERIFIED
                && let Some(oldest) = verified.order.pop_front()
            {
                verified.known.remove(&oldest);
            }
        }
        Ok(is_right)
    }

    /// A value that depends on all parts and is useless outside of this process.
    pub(crate) fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Forgets all verified passwords.
    pub(crate) fn forget(&self) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Verified::default();
    }

    fn tag(&self, username: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        self.fingerprint(&[username.as_bytes(), hash.as_bytes(), password])
    }
}

/// Starts the threads, which end with the sender of their queue.
fn start_threads() -> SyncSender<Check> {
    let (sender, receiver) = sync_channel(MAX_WAITING_CHECKS);
    let receiver = Arc::new(Mutex::new(receiver));
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .div_ceil(2)
        .min(4);
    for _ in 0..threads {
        let receiver = Arc::clone(&receiver);
        let run = move || {
            hookhost_delivery::priority::lower(NICE);
            work(&receiver);
        };
        if let Err(error) = thread::Builder::new().name("passwords".to_owned()).spawn(run) {
            tracing::error!(%error, "cannot start a thread that checks passwords");
        }
    }
    sender
}

fn work(checks: &Mutex<Receiver<Check>>) {
    loop {
        let next = checks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Check { password, hash, done }) = next else {
            return;
        };
        if done.is_closed() {
            continue;
        }
        let hash = PasswordHash::new(&hash);
        let is_right = hash.is_ok_and(|hash| Argon2::default().verify_password(&password, &hash).is_ok());
        // The client may have gone meanwhile.
        _ = done.send(is_right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(password: &[u8]) -> StoredPassword {
        StoredPassword::Hash(hash_password(password).unwrap().as_str().into())
    }

    #[tokio::test]
    async fn a_verified_password_is_remembered_until_it_is_forgotten() {
        let checker = PasswordChecker::new();
        // Any bytes, and as many as MQTT allows.
        let password: Vec<u8> = (0..65_535_u32).map(|byte| byte as u8).collect();
        let stored = stored(&password);
        assert!(!checker.is_verified("alice", &stored, &password));
        assert_eq!(checker.check("alice", &stored, b"wrong").await, Ok(false));
        assert!(!checker.is_verified("alice", &stored, b"wrong"));
        assert_eq!(checker.check("alice", &stored, &password).await, Ok(true));
        assert!(checker.is_verified("alice", &stored, &password));
        assert!(!checker.is_verified("bob", &stored, &password));
        assert!(!checker.is_verified("alice", &stored, b""));
        checker.forget();
        assert!(!checker.is_verified("alice", &stored, &password));
    }

    #[tokio::test]
    async fn a_plain_password_is_compared() {
        let checker = PasswordChecker::new();
        let stored = StoredPassword::Plain(b"public"[..].into());
        assert_eq!(checker.check("admin", &stored, b"public").await, Ok(true));
        assert_eq!(checker.check("admin", &stored, b"publi").await, Ok(false));
        assert!(checker.is_verified("admin", &stored, b"public"));
    }
}
