//! What a write is: a batch of records and entries that happens as a whole, or not at all.

use std::fmt;
use std::ops::Index;

use bytes::Bytes;

use crate::error::{Error, Kind, Result, Side};
use crate::limits::StoreLimits;
use crate::printable::printable;

/// What a write expects to find under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is, or nothing.
    Anything,
    /// Nothing.
    Absent,
    /// The record at this very revision.
    Revision(u64),
}

impl Expect {
    /// Whether a key's actual revision, `None` where it has no record, is what was expected.
    pub fn is_met(self, actual: Option<u64>) -> bool {
        match self {
            Expect::Anything => true,
            Expect::Absent => actual.is_none(),
            Expect::Revision(revision) => actual == Some(revision),
        }
    }
}

/// Writes that happen all or none, in this order: a later one finds what an earlier one of the same batch did.
///
/// ```
/// use bandy::state::{Batch, Expect};
///
/// let batch = Batch::new()
///     .put("users/ada", "{}", Expect::Absent)
///     .delete("invitations/17", Expect::Revision(4))
///     .append("audit", "ada joined");
/// assert_eq!(batch.len(), 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "nothing is written before `Store::commit`"]
pub struct Batch {
    pub(super) writes: Vec<Write>,
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    Put {
        key: String,
        value: Bytes,
        expect: Expect,
    },
    Delete {
        key: String,
        expect: Expect,
    },
    Append {
        log: String,
        value: Bytes,
    },
    Trim {
        log: String,
        through: u64,
    },
}

impl Batch {
    /// A batch of nothing. Committing it does nothing.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Then puts this value under the key, in the place of what is there. It comes to the record's new revision.
    pub fn put(self, key: impl Into<String>, value: impl Into<Bytes>, expect: Expect) -> Batch {
        self.then(Write::Put {
            key: key.into(),
            value: value.into(),
            expect,
        })
    }

    /// Then deletes the record. It comes to the revision that is gone, 0 where there was no record.
    pub fn delete(self, key: impl Into<String>, expect: Expect) -> Batch {
        let key = key.into();
        self.then(Write::Delete { key, expect })
    }

    /// Then appends an entry to the log, which begins with it if there was none. It comes to the entry's `seq`.
    pub fn append(self, log: impl Into<String>, value: impl Into<Bytes>) -> Batch {
        let (log, value) = (log.into(), value.into());
        self.then(Write::Append { log, value })
    }

    /// Then drops the log's entries up to and with `through`; those that there are, when it lies beyond the end. Numbers
    /// are never given again. It comes to the `seq` of the oldest entry that is left, as [`Store::oldest`] says it.
    ///
    /// [`Store::oldest`]: super::Store::oldest
    pub fn trim(self, log: impl Into<String>, through: u64) -> Batch {
        let log = log.into();
        self.then(Write::Trim { log, through })
    }

    fn then(mut self, write: Write) -> Batch {
        self.writes.push(write);
        self
    }

    /// How many writes it has.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many bytes it holds, names and values; each write counts for some more.
    pub(super) fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }

    /// # Errors
    /// [`Kind::Overload`] with the first write that is beyond the limits.
    pub(super) fn check(&self, limits: &StoreLimits) -> Result<()> {
        for write in &self.writes {
            write.check(limits)?;
        }
        let bytes = self.bytes();
        if bytes > limits.batch_bytes {
            return Err(beyond("committing a batch")
                .because(format!(
                    "it has {bytes} bytes, and at most {} may be written at once",
                    limits.batch_bytes
                ))
                .hint("divide it into several batches"));
        }
        Ok(())
    }
}

impl Write {
    /// What a write costs beside its bytes: so that a batch of very many small ones is bounded as well.
    const OWN_BYTES: usize = 64;

    fn bytes(&self) -> usize {
        let (name, value) = self.parts();
        Write::OWN_BYTES + name.len() + value.map_or(0, Bytes::len)
    }

    /// The record's key or the log's name, and the value.
    fn parts(&self) -> (&str, Option<&Bytes>) {
        match self {
            Write::Put { key, value, .. } => (key, Some(value)),
            Write::Append { log, value } => (log, Some(value)),
            Write::Delete { key, .. } => (key, None),
            Write::Trim { log, .. } => (log, None),
        }
    }

    fn check(&self, limits: &StoreLimits) -> Result<()> {
        let (name, value) = self.parts();
        if name.len() > limits.key_bytes {
            let start: String = name.chars().take(40).collect();
            return Err(beyond(format!("writing \"{}…\"", printable(&start)))
                .because(format!(
                    "the name has {} bytes, and may have {}",
                    name.len(),
                    limits.key_bytes
                ))
                .hint("put what is long into the value"));
        }
        let value_bytes = value.map_or(0, Bytes::len);
        if value_bytes > limits.value_bytes {
            return Err(
                beyond(format!("writing \"{}\"", printable(name))).because(format!(
                    "the value has {value_bytes} bytes, and may have {}",
                    limits.value_bytes
                )),
            );
        }
        Ok(())
    }
}

fn beyond(act: impl Into<String>) -> Error {
    Error::new(Kind::Overload, Side::Local, act)
}

/// What a batch came to: one number for each of its writes, in their order. What each means is said at [`Batch`]'s
/// methods: a record's new revision, an entry's `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed(pub(super) Vec<u64>);

impl Committed {
    /// All of them.
    pub fn numbers(&self) -> &[u64] {
        &self.0
    }

    /// That of the last write; 0 for a batch of nothing.
    pub fn last(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }
}

/// The number of the batch's n-th write, from 0.
///
/// # Panics
/// When the batch had no such write.
impl Index<usize> for Committed {
    type Output = u64;

    fn index(&self, n: usize) -> &u64 {
        &self.0[n]
    }
}

/// Why a batch did not happen: a key was not as one of its writes expected it to be. Nothing of the batch was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Whose record it is about.
    pub key: String,
    /// What the write expected.
    pub expected: Expect,
    /// The revision that the record has, `None` where there is no record.
    pub actual: Option<u64>,
}

impl Conflict {
    /// `Err` where the expectation is not met by the key's actual revision.
    pub(super) fn unless_met(
        key: &str,
        expected: Expect,
        actual: Option<u64>,
    ) -> Result<(), Conflict> {
        if expected.is_met(actual) {
            return Ok(());
        }
        Err(Conflict {
            key: key.to_owned(),
            expected,
            actual,
        })
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ", printable(&self.key))?;
        match self.actual {
            Some(actual) => write!(f, "is at revision {actual}")?,
            None => f.write_str("is not there")?,
        }
        match self.expected {
            Expect::Anything => Ok(()),
            Expect::Absent => f.write_str(", and was expected to be absent"),
            Expect::Revision(revision) => write!(f, ", and was expected at revision {revision}"),
        }
    }
}

impl std::error::Error for Conflict {}

/// For whom a conflict is a failure: `store.commit(batch).await??`.
impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Error {
        Error::new(Kind::Conflict, Side::Local, "committing a batch")
            .because(conflict)
            .hint("somebody else has written it meanwhile: read it again, and decide anew")
    }
}
