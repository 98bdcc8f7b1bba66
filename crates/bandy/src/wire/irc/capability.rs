//! Capability negotiation (IRCv3 capability-negotiation, version 302): what a client may have, and how it asks for it.
//!
//! [`Negotiation`] is one client's. It is told what comes behind `CAP` and says what to answer; while it
//! [holds](Negotiation::holds_registration), the client is not welcomed.

use super::LINE_BYTES;

/// What a client can ask for. One bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Who logs in or out in a channel is told of.
    AccountNotify,
    /// Each message says who is logged in as what.
    AccountTag,
    /// Who goes away is told of.
    AwayNotify,
    /// Messages that belong together.
    Batch,
    /// Capabilities that come and go are told of.
    CapNotify,
    /// History can be asked for.
    ChatHistory,
    /// One's own messages come back.
    EchoMessage,
    /// What others do beside speaking stands in history too.
    EventPlayback,
    /// JOIN says who is logged in as what.
    ExtendedJoin,
    /// Invitations of others are told of.
    InviteNotify,
    /// A label on a command comes back on its answer.
    LabeledResponse,
    /// REDACT: a message is taken back.
    MessageRedaction,
    /// Tags, and TAGMSG.
    MessageTags,
    /// All of a member's prefixes, not the highest only.
    MultiPrefix,
    /// AUTHENTICATE.
    Sasl,
    /// Each message says when it was said.
    ServerTime,
    /// Names may change during a connection.
    SetName,
    /// FAIL, WARN and NOTE.
    StandardReplies,
    /// NAMES with `nick!user@host`.
    UserhostInNames,
}

impl Capability {
    /// All of them, in the order of their names.
    pub const ALL: [Capability; 19] = [
        Capability::AccountNotify,
        Capability::AccountTag,
        Capability::AwayNotify,
        Capability::Batch,
        Capability::CapNotify,
        Capability::ChatHistory,
        Capability::EventPlayback,
        Capability::MessageRedaction,
        Capability::EchoMessage,
        Capability::ExtendedJoin,
        Capability::InviteNotify,
        Capability::LabeledResponse,
        Capability::MessageTags,
        Capability::MultiPrefix,
        Capability::Sasl,
        Capability::ServerTime,
        Capability::SetName,
        Capability::StandardReplies,
        Capability::UserhostInNames,
    ];

    /// As it is called on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::AccountNotify => "account-notify",
            Capability::AccountTag => "account-tag",
            Capability::AwayNotify => "away-notify",
            Capability::Batch => "batch",
            Capability::CapNotify => "cap-notify",
            Capability::ChatHistory => "draft/chathistory",
            Capability::EchoMessage => "echo-message",
            Capability::EventPlayback => "draft/event-playback",
            Capability::ExtendedJoin => "extended-join",
            Capability::InviteNotify => "invite-notify",
            Capability::LabeledResponse => "labeled-response",
            Capability::MessageRedaction => "draft/message-redaction",
            Capability::MessageTags => "message-tags",
            Capability::MultiPrefix => "multi-prefix",
            Capability::Sasl => "sasl",
            Capability::ServerTime => "server-time",
            Capability::SetName => "setname",
            Capability::StandardReplies => "standard-replies",
            Capability::UserhostInNames => "userhost-in-names",
        }
    }

    /// By its name, which has one case.
    pub fn named(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|c| c.as_str() == name)
    }
}

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u32);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);

    /// With this one.
    #[must_use]
    pub const fn with(self, one: Capability) -> Capabilities {
        Capabilities(self.0 | 1 << one as u8)
    }

    /// Without this one.
    #[must_use]
    pub const fn without(self, one: Capability) -> Capabilities {
        Capabilities(self.0 & !(1 << one as u8))
    }

    /// Whether this one is in it.
    pub const fn has(self, one: Capability) -> bool {
        self.0 & (1 << one as u8) != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }

    /// Those in it, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |c| self.has(*c))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter()
            .fold(Capabilities::NONE, Capabilities::with)
    }
}

/// What a server has to offer, each with its value for clients of version 302.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer(Vec<(Capability, String)>);

impl Offer {
    /// These, with their values; an empty one is none.
    pub fn new(offered: impl IntoIterator<Item = (Capability, String)>) -> Offer {
        Offer(offered.into_iter().collect())
    }

    fn set(&self) -> Capabilities {
        self.0.iter().map(|(capability, _)| *capability).collect()
    }

    fn word(&self, capability: Capability, version: u32) -> String {
        let name = capability.as_str();
        let value = self.0.iter().find(|(c, _)| *c == capability);
        match value.map(|(_, value)| value.as_str()) {
            Some(value) if version >= 302 && !value.is_empty() => format!("{name}={value}"),
            _ => name.to_owned(),
        }
    }
}

/// What to answer to a `CAP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `CAP nick SUBCOMMAND [*] :words`, a line each; all but the last have the `*`.
    Lines {
        /// `LS`, `LIST`, `ACK`, `NAK`, `NEW` or `DEL`.
        subcommand: &'static str,
        /// The words of each line.
        lines: Vec<String>,
    },
    /// Nothing is said: negotiation has ended, and registration may go on.
    End,
    /// Nothing is said and nothing has changed.
    Nothing,
    /// There is no such subcommand: 410.
    Unknown(String),
    /// A parameter is missing: 461.
    Missing,
}

/// How many bytes of words a line of `CAP` has: the rest is for the server's name, the client's, and the frame.
const WORDS_BYTES: usize = LINE_BYTES - 160;

/// One client's side of the negotiation.
#[derive(Debug, Clone, Default)]
pub struct Negotiation {
    version: u32,
    enabled: Capabilities,
    /// It has begun before the client was welcomed, and has not ended.
    holds: bool,
    registered: bool,
}

impl Negotiation {
    /// What the client has.
    pub fn enabled(&self) -> Capabilities {
        self.enabled
    }

    /// Whether the client has this.
    pub fn has(&self, capability: Capability) -> bool {
        self.enabled.has(capability)
    }

    /// The version that the client speaks: 302 or later, or 0 for the first.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the client is to be welcomed only after its `CAP END`.
    pub fn holds_registration(&self) -> bool {
        self.holds
    }

    /// The client was welcomed: from now on nothing is held.
    pub fn registered(&mut self) {
        self.registered = true;
        self.holds = false;
    }

    /// What came behind `CAP`.
    pub fn command(&mut self, params: &[&str], offer: &Offer) -> Answer {
        let Some((subcommand, rest)) = params.split_first() else {
            return Answer::Missing;
        };
        let rest = rest.first().copied().unwrap_or_default();
        match subcommand.to_ascii_uppercase().as_str() {
            "LS" => self.list_all(rest, offer),
            "LIST" => Answer::Lines {
                subcommand: "LIST",
                lines: in_lines(
                    self.enabled.iter().map(|c| c.as_str().to_owned()),
                    self.version,
                ),
            },
            "REQ" => self.request(rest, offer),
            "END" => match std::mem::take(&mut self.holds) {
                true => Answer::End,
                false => Answer::Nothing,
            },
            _ => Answer::Unknown((*subcommand).to_owned()),
        }
    }

    fn list_all(&mut self, version: &str, offer: &Offer) -> Answer {
        self.holds = !self.registered;
        // Never lower than before: who spoke 302 once can do it.
        self.version = self.version.max(version.parse().unwrap_or(0));
        if self.version >= 302 && offer.set().has(Capability::CapNotify) {
            self.enabled = self.enabled.with(Capability::CapNotify);
        }
        let words = offer.set().iter().map(|c| offer.word(c, self.version));
        Answer::Lines {
            subcommand: "LS",
            lines: in_lines(words, self.version),
        }
    }

    /// All of it or nothing.
    fn request(&mut self, words: &str, offer: &Offer) -> Answer {
        self.holds = !self.registered;
        let mut wanted = self.enabled;
        let mut is_possible = true;
        for word in words.split_ascii_whitespace() {
            let (name, set) = match word.strip_prefix('-') {
                Some(name) => (name, false),
                None => (word, true),
            };
            let known = Capability::named(name).filter(|c| offer.set().has(*c));
            wanted = match (known, set) {
                (Some(one), true) => wanted.with(one),
                // It comes with the version and goes with it.
                (Some(Capability::CapNotify), false) if self.version >= 302 => {
                    is_possible = false;
                    wanted
                }
                (Some(one), false) => wanted.without(one),
                (None, _) => {
                    is_possible = false;
                    wanted
                }
            };
        }
        if is_possible {
            self.enabled = wanted;
        }
        Answer::Lines {
            subcommand: if is_possible { "ACK" } else { "NAK" },
            lines: vec![words.to_owned()],
        }
    }

    /// The offer has changed: what to tell a client that wants to know. `DEL` comes first.
    pub fn changed(&mut self, before: &Offer, now: &Offer) -> Vec<Answer> {
        let gone: Vec<_> = before.set().iter().filter(|c| !now.set().has(*c)).collect();
        // One whose value is another is told of as new.
        let new: Vec<_> = now.0.iter().filter(|one| !before.0.contains(one)).collect();
        self.enabled = gone.iter().fold(self.enabled, |e, c| e.without(*c));
        let tells = self.has(Capability::CapNotify);
        let mut answers = Vec::new();
        if tells && !gone.is_empty() {
            answers.push(Answer::Lines {
                subcommand: "DEL",
                lines: in_lines(gone.iter().map(|c| c.as_str().to_owned()), 0),
            });
        }
        if tells && !new.is_empty() {
            let words = new.iter().map(|(c, _)| now.word(*c, self.version));
            answers.push(Answer::Lines {
                subcommand: "NEW",
                lines: in_lines(words, 0),
            });
        }
        answers
    }
}

/// Words in as many lines as they need, at least one. Before version 302 there is only one, and what does not fit
/// is left out.
fn in_lines(words: impl Iterator<Item = String>, version: u32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            *line = word;
        } else if line.len() + 1 + word.len() <= WORDS_BYTES {
            line.push(' ');
            line.push_str(&word);
        } else if version >= 302 {
            lines.push(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer() -> Offer {
        let value = |c| match c {
            Capability::Sasl => "PLAIN".to_owned(),
            _ => String::new(),
        };
        Offer::new(
            Capability::ALL
                .into_iter()
                .filter(|c| *c != Capability::SetName)
                .map(|c| (c, value(c))),
        )
    }

    fn lines(answer: Answer) -> (&'static str, Vec<String>) {
        match answer {
            Answer::Lines { subcommand, lines } => (subcommand, lines),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_asks_gets_and_goes_on() {
        let mut client = Negotiation::default();
        assert!(!client.holds_registration());
        let (ls, words) = lines(client.command(&["LS", "302"], &offer()));
        assert!(client.holds_registration());
        assert_eq!(ls, "LS");
        let words = words.join(" ");
        assert!(
            words.contains("sasl=PLAIN") && words.contains("server-time"),
            "{words}"
        );
        assert!(!words.contains("setname"), "is not on offer");

        let asked = "server-time message-tags";
        let ack = client.command(&["REQ", asked], &offer());
        assert_eq!(lines(ack), ("ACK", vec![asked.to_owned()]));
        let nak = client.command(&["REQ", "batch nonsense -server-time"], &offer());
        assert_eq!(lines(nak).0, "NAK");
        assert!(client.has(Capability::ServerTime) && !client.has(Capability::Batch));
        let list = client.command(&["list"], &offer());
        let all = "cap-notify message-tags server-time".to_owned();
        assert_eq!(lines(list), ("LIST", vec![all]));

        assert_eq!(client.command(&["END"], &offer()), Answer::End);
        assert!(!client.holds_registration());
        assert_eq!(client.command(&["END"], &offer()), Answer::Nothing);
    }

    #[test]
    fn the_first_version_has_no_values_and_may_drop_what_it_has() {
        let mut client = Negotiation::default();
        let (_, words) = lines(client.command(&["LS"], &offer()));
        assert_eq!(words.len(), 1);
        assert!(!words[0].contains('='));
        assert!(!client.has(Capability::CapNotify));
        client.registered();
        client.command(&["REQ", "batch cap-notify"], &offer());
        assert!(!client.holds_registration(), "it is in already");
        let off = client.command(&["REQ", "-batch -cap-notify"], &offer());
        assert_eq!(lines(off).0, "ACK");
        assert_eq!(client.enabled(), Capabilities::NONE);
    }

    #[test]
    fn what_is_no_subcommand() {
        let mut client = Negotiation::default();
        assert_eq!(client.command(&[], &offer()), Answer::Missing);
        let unknown = client.command(&["FOO"], &offer());
        assert_eq!(unknown, Answer::Unknown("FOO".to_owned()));
        assert!(!client.holds_registration());
    }

    #[test]
    fn what_comes_and_goes_is_told_to_those_who_want_to_know() {
        let without = Offer::new([(Capability::CapNotify, String::new())]);
        let with = Offer::new([
            (Capability::CapNotify, String::new()),
            (Capability::Sasl, "PLAIN".to_owned()),
        ]);
        let mut client = Negotiation::default();
        client.command(&["LS", "302"], &with);
        client.command(&["REQ", "sasl"], &with);
        let gone: Vec<_> = client
            .changed(&with, &without)
            .into_iter()
            .map(lines)
            .collect();
        assert_eq!(gone, [("DEL", vec!["sasl".to_owned()])]);
        assert!(!client.has(Capability::Sasl));
        let new: Vec<_> = client
            .changed(&without, &with)
            .into_iter()
            .map(lines)
            .collect();
        assert_eq!(new, [("NEW", vec!["sasl=PLAIN".to_owned()])]);
        assert_eq!(Negotiation::default().changed(&with, &without), []);
    }

    #[test]
    fn names_lead_back() {
        for one in Capability::ALL {
            assert_eq!(Capability::named(one.as_str()), Some(one));
            assert!(Capabilities::NONE.with(one).has(one));
            assert!(!Capabilities::NONE.with(one).without(one).has(one));
        }
    }

    proptest! {
        /// Whatever is asked, what a client has was on offer, a refusal changes nothing, and no line is too long.
        #[test]
        fn nobody_has_what_is_not_on_offer(
            asked in prop::collection::vec(("(LS|LIST|REQ|END|FOO)", "(302|(-?(batch|sasl|setname|x|cap-notify) ){0,3})"), 0..12)
        ) {
            let mut client = Negotiation::default();
            for (subcommand, rest) in &asked {
                let before = client.enabled();
                let answer = client.command(&[subcommand, rest], &offer());
                prop_assert!(!client.has(Capability::SetName));
                if let Answer::Lines { subcommand, lines } = answer {
                    prop_assert!(!lines.is_empty());
                    prop_assert!(lines.iter().all(|line| line.len() <= WORDS_BYTES));
                    if subcommand == "NAK" {
                        prop_assert_eq!(client.enabled(), before);
                    }
                }
            }
        }
    }
}
