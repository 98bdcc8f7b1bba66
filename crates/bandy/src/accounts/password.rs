//! Passwords: which will do, and their hashes, a bounded number at once.
//!
//! A hash takes tens of milliseconds and megabytes on purpose, so it is computed on a thread that may block, in its turn.
//! Whoever gives up waiting does not free a turn that is still being used: the memory is bounded whatever peers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::options::Cost;
use super::secret::{Secret, random};
use super::user::Refused;
use crate::error::{Error, Kind, Result, Side};

/// The longest password, in bytes: enough for any phrase, too little to keep a hash busy.
pub(crate) const BYTES_MAX: usize = 1024;

/// More memory than any sensible hash takes: a record that asks for it is damaged.
const MEMORY_KIB_MAX: u32 = 1 << 20;

/// Whether a password will do for a user of this name.
pub(crate) fn check(password: &Secret, name: &str, min: usize) -> Result<(), Refused> {
    let text = password.expose();
    if text.len() > BYTES_MAX {
        return Err(Refused::PasswordLong(BYTES_MAX));
    }
    if text.chars().count() < min {
        return Err(Refused::PasswordShort(min));
    }
    if text.eq_ignore_ascii_case(name) {
        return Err(Refused::PasswordIsName);
    }
    Ok(())
}

/// What came of looking at a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it is the one.
    pub right: bool,
    /// Whether its hash is of another cost than the hashes that are made now.
    pub outdated: bool,
}

/// Computes hashes, a bounded number at once.
pub(crate) struct Hasher {
    cost: Cost,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Compared with where there is no user, so that it takes as long. No password has it: it is random.
    nobodys: Hash,
}

impl Hasher {
    /// # Errors
    /// A cost that Argon2 does not allow.
    pub(crate) fn new(cost: Cost) -> Result<Hasher> {
        argon2(&cost)?;
        let nobodys = Hash {
            cost,
            salt: random::<16>()?.to_vec(),
            output: random::<32>()?.to_vec(),
        };
        Ok(Hasher {
            cost,
            turns: Arc::new(Semaphore::new(cost.at_once.max(1))),
            waiting: AtomicUsize::new(0),
            nobodys,
        })
    }

    /// A hash of a password, as text to be stored (a PHC string).
    ///
    /// # Errors
    /// [`Kind::Overload`] when too many wait.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String> {
        let cost = self.cost;
        let hash = self.in_turn(move || Hash::of(&password, cost)).await??;
        Ok(hash.to_text())
    }

    /// Whether a password is the one of the stored hash. Without one it is not, and takes as long.
    ///
    /// # Errors
    /// [`Kind::Overload`] when too many wait; a stored hash that is damaged.
    pub(crate) async fn verify(&self, password: Secret, stored: Option<&str>) -> Result<Verdict> {
        let hash = match stored {
            Some(text) => Hash::parse(text).ok_or_else(damaged)?,
            None => self.nobodys.clone(),
        };
        let outdated = !hash.cost.is_same_work(&self.cost);
        let right = self.in_turn(move || hash.is_of(&password)).await??;
        Ok(Verdict {
            right: right && stored.is_some(),
            outdated,
        })
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Here, and not where it was asked for: whoever asked may be gone by now.
            drop(turn);
            done
        });
        done.await.map_err(|cause| {
            Error::new(Kind::Other, Side::Local, "hashing a password").because(cause)
        })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            return Ok(turn);
        }
        let _waiting = Waiting::begin(self)?;
        match timeout(self.cost.wait, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(overload("no turn within the time that may be waited")),
        }
    }
}

/// A place among those who wait; given back by being dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(hasher: &'a Hasher) -> Result<Waiting<'a>> {
        let waiting = Waiting(&hasher.waiting);
        if waiting.0.fetch_add(1, Ordering::Relaxed) >= hasher.cost.waiting {
            return Err(overload("too many wait already"));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn overload(why: &'static str) -> Error {
    Error::new(Kind::Overload, Side::Local, "hashing a password").because(why)
}

fn damaged() -> Error {
    Error::new(Kind::Other, Side::Local, "reading a password's hash")
        .because("it is damaged")
        .hint("give the user another password: bandy user password NAME")
}

/// Argon2id of this cost, with 256 bits of output.
fn argon2(cost: &Cost) -> Result<Argon2<'static>> {
    match Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)) {
        Ok(params) => Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params)),
        Err(cause) => Err(
            Error::new(Kind::Usage, Side::Local, "hashing passwords at this cost")
                .because(cause.to_string()),
        ),
    }
}

/// A password's hash, and all that is needed to compute it again.
#[derive(Clone)]
struct Hash {
    cost: Cost,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Hash {
    fn of(password: &Secret, cost: Cost) -> Result<Hash> {
        let salt = random::<16>()?.to_vec();
        let output = compute(password, &cost, &salt)?;
        Ok(Hash { cost, salt, output })
    }

    fn is_of(&self, password: &Secret) -> Result<bool> {
        let output = compute(password, &self.cost, &self.salt)?;
        Ok(verify_slices_are_equal(&output, &self.output).is_ok())
    }

    /// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`, as other programs write it too.
    fn to_text(&self) -> String {
        let Cost {
            memory_kib,
            passes,
            lanes,
            ..
        } = self.cost;
        let salt = BASE64_STANDARD_NO_PAD.encode(&self.salt);
        let output = BASE64_STANDARD_NO_PAD.encode(&self.output);
        format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}")
    }

    fn parse(text: &str) -> Option<Hash> {
        let rest = text.strip_prefix("$argon2id$v=19$")?;
        let (cost, rest) = rest.split_once('$')?;
        let (salt, output) = rest.split_once('$')?;
        let mut numbers = cost.split(',').zip(["m=", "t=", "p="]);
        let mut number = || numbers.next()?.0.get(2..)?.parse().ok();
        let cost = Cost {
            memory_kib: number()?,
            passes: number()?,
            lanes: number()?,
            ..Cost::default()
        };
        let hash = Hash {
            cost,
            salt: BASE64_STANDARD_NO_PAD.decode(salt).ok()?,
            output: BASE64_STANDARD_NO_PAD.decode(output).ok()?,
        };
        // Written again it is the same, or it was not written by these rules.
        (cost.memory_kib <= MEMORY_KIB_MAX && hash.output.len() == 32 && hash.to_text() == text)
            .then_some(hash)
    }
}

impl Cost {
    fn is_same_work(&self, other: &Cost) -> bool {
        let work = |c: &Cost| (c.memory_kib, c.passes, c.lanes);
        work(self) == work(other)
    }
}

fn compute(password: &Secret, cost: &Cost, salt: &[u8]) -> Result<Vec<u8>> {
    let mut output = vec![0; 32];
    argon2(cost)?
        .hash_password_into(password.expose().as_bytes(), salt, &mut output)
        .map_err(|cause| {
            Error::new(Kind::Other, Side::Local, "hashing a password").because(cause.to_string())
        })?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn cheap() -> Cost {
        Cost {
            memory_kib: 64,
            passes: 1,
            at_once: 1,
            ..Cost::default()
        }
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() -> Result<()> {
        let hasher = Hasher::new(cheap())?;
        let text = hasher.hash("correct horse".into()).await?;
        assert!(text.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{text}");
        let right = hasher.verify("correct horse".into(), Some(&text)).await?;
        assert_eq!((right.right, right.outdated), (true, false));
        assert!(
            !hasher
                .verify("Correct horse".into(), Some(&text))
                .await?
                .right
        );
        assert!(!hasher.verify("correct horse".into(), None).await?.right);

        let dearer = Hasher::new(Cost {
            passes: 2,
            ..cheap()
        })?;
        let verdict = dearer.verify("correct horse".into(), Some(&text)).await?;
        assert_eq!((verdict.right, verdict.outdated), (true, true));
        Ok(())
    }

    /// From the tests of the reference implementation (phc-winner-argon2, `test.c`).
    #[test]
    fn other_programs_hashes_are_read_and_damaged_ones_are_not() {
        const THEIRS: &str =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let read = Hash::parse(THEIRS).expect("a hash");
        assert!(read.is_of(&"password".into()).expect("a verdict"));
        assert!(!read.is_of(&"passwort".into()).expect("a verdict"));
        for damaged in [
            "",
            "$argon2id$",
            "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=64,t=1$AAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(Hash::parse(damaged).is_none(), "{damaged}");
        }
    }

    #[test]
    fn which_passwords_will_do() {
        let check = |text: &str| check(&text.into(), "Adalovelace", 8);
        assert_eq!(check("1234567"), Err(Refused::PasswordShort(8)));
        assert_eq!(check("äöüßäöü"), Err(Refused::PasswordShort(8)));
        assert_eq!(check("äöüßäöüß"), Ok(()));
        assert_eq!(check("adaLOVElace"), Err(Refused::PasswordIsName));
        assert_eq!(check(&"x".repeat(1024)), Ok(()));
        assert_eq!(check(&"x".repeat(1025)), Err(Refused::PasswordLong(1024)));
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_refused() -> Result<()> {
        let hasher = Hasher::new(Cost {
            waiting: 1,
            wait: Duration::from_millis(20),
            ..cheap()
        })?;
        let turn = hasher.turn().await?;
        // One may wait, in vain; the next is not even let in.
        let (waited, refused) = tokio::join!(biased; hasher.turn(), hasher.turn());
        assert_eq!(waited.err().map(|e| e.kind()), Some(Kind::Overload));
        let refused = refused.expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "hashing a password: too many wait already"
        );
        drop(turn);
        assert_eq!(hasher.waiting.load(Ordering::Relaxed), 0);
        hasher.turn().await.map(drop)
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_its_work_whoever_waits_for_it() -> Result<()> {
        let hasher = Hasher::new(cheap())?;
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let work = hasher.in_turn(move || gate.recv());
        // Begun, and given up on.
        assert!(timeout(Duration::from_millis(20), work).await.is_err());
        assert_eq!(hasher.turns.available_permits(), 0);
        go.send(()).expect("the work is still there");
        hasher.turn().await.map(drop)
    }

    #[test]
    fn a_cost_that_cannot_be_is_an_error() {
        let none = Cost {
            passes: 0,
            ..cheap()
        };
        assert_eq!(Hasher::new(none).err().map(|e| e.kind()), Some(Kind::Usage));
    }
}
