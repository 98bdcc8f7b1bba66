//! What `CHATHISTORY` asks for (IRCv3 draft/chathistory).

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A place in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// `msgid=…`: a message, itself not counted.
    Message(String),
    /// `timestamp=…`: a moment.
    Time(OffsetDateTime),
}

/// What is asked for. `limit` is as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The latest messages; with a place, only those behind it.
    Latest(Option<At>),
    /// The last messages before a place.
    Before(At),
    /// The first messages behind a place.
    After(At),
    /// Some before and some behind a place, the message there among them.
    Around(At),
    /// Messages between two places, from the first on; backwards where the second is earlier.
    Between(At, At),
}

/// A whole question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question<'a> {
    /// Messages of a channel or of somebody.
    Messages {
        /// Whose.
        target: &'a str,
        /// Which.
        wanted: Wanted,
        /// How many at most.
        limit: usize,
    },
    /// With whom there were messages between two moments.
    Targets {
        /// From then.
        from: OffsetDateTime,
        /// Until then.
        to: OffsetDateTime,
        /// How many at most.
        limit: usize,
    },
}

/// Why a question is none: the code of the FAIL, and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<'a> {
    /// `UNKNOWN_COMMAND`
    Unknown(&'a str),
    /// `NEED_MORE_PARAMS`
    Missing(&'a str),
    /// `INVALID_PARAMS`
    Invalid(&'a str),
}

impl<'a> Question<'a> {
    /// What came behind `CHATHISTORY`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(params: &[&'a str]) -> Result<Question<'a>, Fault<'a>> {
        let (subcommand, rest) = params.split_first().ok_or(Fault::Missing("*"))?;
        let place = |text: &str| At::parse(text).ok_or(Fault::Invalid(subcommand));
        let number = |text: &str| text.parse().map_err(|_| Fault::Invalid(subcommand));
        let moment = |text| match place(text)? {
            At::Time(time) => Ok(time),
            At::Message(_) => Err(Fault::Invalid(subcommand)),
        };
        let missing = Fault::Missing(subcommand);
        let (target, wanted, limit) = match subcommand.to_ascii_uppercase().as_str() {
            "TARGETS" => match rest {
                [from, to, limit, ..] => {
                    return Ok(Question::Targets {
                        from: moment(from)?,
                        to: moment(to)?,
                        limit: number(limit)?,
                    });
                }
                _ => return Err(missing),
            },
            "BETWEEN" => match rest {
                [target, from, to, limit, ..] => {
                    (target, Wanted::Between(place(from)?, place(to)?), limit)
                }
                _ => return Err(missing),
            },
            name @ ("LATEST" | "BEFORE" | "AFTER" | "AROUND") => match rest {
                [target, "*", limit, ..] if name == "LATEST" => {
                    (target, Wanted::Latest(None), limit)
                }
                [target, at, limit, ..] => {
                    let at = place(at)?;
                    let wanted = match name {
                        "LATEST" => Wanted::Latest(Some(at)),
                        "BEFORE" => Wanted::Before(at),
                        "AFTER" => Wanted::After(at),
                        _ => Wanted::Around(at),
                    };
                    (target, wanted, limit)
                }
                _ => return Err(missing),
            },
            _ => return Err(Fault::Unknown(subcommand)),
        };
        Ok(Question::Messages {
            target,
            wanted,
            limit: number(limit)?,
        })
    }
}

impl At {
    /// `msgid=…` or `timestamp=…`.
    pub fn parse(text: &str) -> Option<At> {
        match text.split_once('=')? {
            ("msgid", id) if !id.is_empty() => Some(At::Message(id.to_owned())),
            ("timestamp", time) => OffsetDateTime::parse(time, &Rfc3339).ok().map(At::Time),
            _ => None,
        }
    }
}

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A moment as `server-time` has it: UTC, with milliseconds. `None` for one outside of the years 0 to 9999.
pub fn server_time(at: OffsetDateTime) -> Option<String> {
    at.to_offset(time::UtcOffset::UTC).format(TIME).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
    }

    #[test]
    fn questions() {
        let early = "timestamp=1970-01-01T00:00:01.000Z";
        let id = || At::Message("x-1".to_owned());
        let at = || At::Time(time(1));
        for (line, wanted) in [
            ("LATEST #a * 50", Wanted::Latest(None)),
            ("latest #a msgid=x-1 50", Wanted::Latest(Some(id()))),
            ("BEFORE #a msgid=x-1 50", Wanted::Before(id())),
            (
                "AFTER #a timestamp=1970-01-01T00:00:01.000Z 50",
                Wanted::After(at()),
            ),
            ("AROUND #a msgid=x-1 50", Wanted::Around(id())),
            (
                "BETWEEN #a msgid=x-1 timestamp=1970-01-01T00:00:01Z 50",
                Wanted::Between(id(), at()),
            ),
        ] {
            let params: Vec<_> = line.split(' ').collect();
            let expected = Question::Messages {
                target: "#a",
                wanted,
                limit: 50,
            };
            assert_eq!(Question::parse(&params), Ok(expected), "{line}");
        }
        let targets = Question::parse(&["TARGETS", early, early, "5"]);
        let (from, to) = (time(1), time(1));
        assert_eq!(targets, Ok(Question::Targets { from, to, limit: 5 }));
    }

    #[test]
    fn what_is_no_question() {
        for (line, fault) in [
            ("FOO #a * 5", Fault::Unknown("FOO")),
            ("LATEST #a *", Fault::Missing("LATEST")),
            ("BETWEEN #a msgid=1 5", Fault::Missing("BETWEEN")),
            ("LATEST #a * many", Fault::Invalid("LATEST")),
            ("BEFORE #a * 5", Fault::Invalid("BEFORE")),
            ("BEFORE #a msgid= 5", Fault::Invalid("BEFORE")),
            ("BEFORE #a timestamp=yesterday 5", Fault::Invalid("BEFORE")),
            ("TARGETS msgid=1 msgid=2 5", Fault::Invalid("TARGETS")),
        ] {
            let params: Vec<_> = line.split(' ').collect();
            assert_eq!(Question::parse(&params), Err(fault), "{line}");
        }
        assert_eq!(Question::parse(&[]), Err(Fault::Missing("*")));
    }

    #[test]
    fn times_are_written_with_milliseconds() {
        let at = time(1_321_612_737) + time::Duration::milliseconds(7);
        assert_eq!(server_time(at).as_deref(), Some("2011-11-18T10:38:57.007Z"));
        let written = format!("timestamp={}", server_time(at).expect("a time"));
        assert_eq!(At::parse(&written), Some(At::Time(at)));
    }
}
