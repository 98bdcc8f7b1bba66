//! What a server says of itself.

use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use super::out::Out;
use crate::wire::irc::capability::{Capability, Offer};
use crate::wire::irc::isupport::Isupport;
use crate::wire::irc::{numeric, text};

/// The modes of a channel: lists, with a parameter always, when set, and without one.
pub(super) const CHANNEL_MODES: &str = "bq,k,l,imnst";
/// The same letter by letter, with those of members, as 004 has them.
const CHANNEL_LETTERS: &str = "biklmnoqstv";
/// Names and reasons are cut at this many bytes.
pub(super) const TEXT_BYTES: usize = 390;
/// The most messages of one `CHATHISTORY`.
pub(super) const HISTORY: usize = 100;
/// The most names that one command may have.
pub(super) const TARGETS: usize = 8;

const VERSION: &str = concat!("bandy-", env!("CARGO_PKG_VERSION"));

/// What clients may ask for.
pub(super) fn offer() -> Offer {
    use Capability::*;
    let value = |capability| match capability {
        Sasl => "PLAIN",
        _ => "",
    };
    let offered = [
        AccountNotify,
        AccountTag,
        AwayNotify,
        Batch,
        CapNotify,
        ChatHistory,
        EventPlayback,
        EchoMessage,
        ExtendedJoin,
        LabeledResponse,
        MessageRedaction,
        MessageTags,
        MultiPrefix,
        Sasl,
        ServerTime,
        StandardReplies,
        UserhostInNames,
    ];
    Offer::new(offered.map(|capability| (capability, value(capability).to_owned())))
}

fn isupport(network: &str) -> Isupport {
    use crate::accounts::name::LENGTH_MAX;
    Isupport::default()
        .value("NETWORK", network)
        .value("CASEMAPPING", "ascii")
        .value("CHANTYPES", "#")
        .value("PREFIX", "(ov)@+")
        .value("CHANMODES", CHANNEL_MODES)
        .value("MODES", TARGETS)
        .value("NICKLEN", LENGTH_MAX)
        .value("CHANNELLEN", LENGTH_MAX + 1)
        .value("TOPICLEN", TEXT_BYTES)
        .value("KICKLEN", TEXT_BYTES)
        .value("AWAYLEN", TEXT_BYTES)
        .value("MAXTARGETS", TARGETS)
        .value("TARGMAX", format!("PRIVMSG:{TARGETS},NOTICE:{TARGETS},TAGMSG:{TARGETS},JOIN:{TARGETS},PART:{TARGETS},KICK:{TARGETS},NAMES:1,WHOIS:1"))
        .value("CHATHISTORY", HISTORY)
        .value("MSGREFTYPES", "msgid,timestamp")
        .value("CLIENTTAGDENY", "*,-typing,-draft/reply,-reply")
        .flag("SAFELIST")
        .flag("UTF8ONLY")
}

/// 001 to 005.
pub(super) fn welcome(out: &mut Out, source: &str, network: &str, since: OffsetDateTime) {
    let server = out.server().to_owned();
    let hello = format!("Welcome to {network}, {source}");
    out.reply(numeric::RPL_WELCOME, &[], &hello);
    let host = format!("Your host is {server}, running {VERSION}");
    out.reply(numeric::RPL_YOURHOST, &[], &host);
    let created = format!("This server was started {}", date(since));
    out.reply(numeric::RPL_CREATED, &[], &created);
    out.reply_bare(
        numeric::RPL_MYINFO,
        &[&server, VERSION, "i", CHANNEL_LETTERS, "bklov"],
    );
    tell_isupport(out, network);
}

/// 005.
pub(super) fn tell_isupport(out: &mut Out, network: &str) {
    let tokens = isupport(network);
    for line in tokens.lines() {
        let tokens: Vec<&str> = line.iter().map(String::as_str).collect();
        out.reply(
            numeric::RPL_ISUPPORT,
            &tokens,
            "are supported by this server",
        );
    }
}

/// The message of the day: what the operator has to say, and how to begin.
pub(super) fn motd(out: &mut Out, lobby: &str, welcome: &str) {
    let server = out.server().to_owned();
    let head = format!("- {server} Message of the day -");
    out.reply(numeric::RPL_MOTDSTART, &[], &head);
    let begin = format!("- Everyone meets in #{lobby}: /join #{lobby}");
    for line in text::pieces(&text::plain(welcome), 80) {
        out.reply(numeric::RPL_MOTD, &[], &format!("- {line}"));
    }
    for line in [
        begin.as_str(),
        "- /list shows the rooms; /join #name makes one that is not there, and it is yours.",
        "- The same rooms are open to browsers, WebSocket programs and nc.",
    ] {
        out.reply(numeric::RPL_MOTD, &[], line);
    }
    out.reply(numeric::RPL_ENDOFMOTD, &[], "End of /MOTD command.");
}

/// LUSERS.
pub(super) fn lusers(out: &mut Out, people: usize, rooms: usize) {
    let (people, rooms) = (people.to_string(), rooms.to_string());
    let all = format!("There are {people} people on 1 server");
    out.reply(numeric::RPL_LUSERCLIENT, &[], &all);
    out.reply(numeric::RPL_LUSEROP, &["0"], "operator(s) online");
    out.reply(numeric::RPL_LUSERUNKNOWN, &["0"], "unknown connection(s)");
    out.reply(numeric::RPL_LUSERCHANNELS, &[&rooms], "channels formed");
    let local = format!("I have {people} clients and 0 servers");
    out.reply(numeric::RPL_LUSERME, &[], &local);
    let local = format!("Current local users {people}");
    out.reply(numeric::RPL_LOCALUSERS, &[], &local);
    let global = format!("Current global users {people}");
    out.reply(numeric::RPL_GLOBALUSERS, &[], &global);
}

/// VERSION.
pub(super) fn version(out: &mut Out, network: &str) {
    let server = out.server().to_owned();
    out.reply(
        numeric::RPL_VERSION,
        &[VERSION, &server],
        "a chat of four protocols",
    );
    tell_isupport(out, network);
}

/// TIME.
pub(super) fn time(out: &mut Out, now: OffsetDateTime) {
    let server = out.server().to_owned();
    let date = now.format(&Rfc2822).unwrap_or_else(|_| date(now));
    out.reply(numeric::RPL_TIME, &[&server], &date);
}

/// INFO.
pub(super) fn info(out: &mut Out, since: OffsetDateTime) {
    let started = format!("Started {}", date(since));
    for line in [
        VERSION,
        "One room, whatever is spoken: IRC, WebSocket, lines, a page.",
        "Text is UTF-8. What is said in a room is kept: see CHATHISTORY.",
        &started,
    ] {
        out.reply(numeric::RPL_INFO, &[], line);
    }
    out.reply(numeric::RPL_ENDOFINFO, &[], "End of INFO list");
}

/// HELP.
pub(super) fn help(out: &mut Out, about: Option<&str>) {
    const LINES: [&str; 10] = [
        "JOIN #room [key]        go into a room; it is made if it is not there",
        "PRIVMSG #room :text     say something; also to a nick",
        "PART #room [:why]       leave a room",
        "TOPIC #room [:text]     what a room is about",
        "NAMES #room, WHO #room  who is there",
        "LIST                    which rooms there are",
        "MODE #room +o nick      make somebody a moderator; +v may speak where it is +m; +b bans, +q mutes",
        "MODE #room +imstkl      by invitation, moderated, not listed, topic by moderators, key, limit",
        "CHATHISTORY LATEST #room * 50",
        "REDACT #room msgid      take back what was said (draft/message-redaction)",
    ];
    match about {
        None => {
            out.reply(numeric::RPL_HELPSTART, &["*"], "What can be said here:");
            for line in LINES {
                out.reply(numeric::RPL_HELPTXT, &["*"], line);
            }
            out.reply(numeric::RPL_ENDOFHELP, &["*"], "The end of it");
        }
        Some(about) => {
            let is_about = |line: &&&str| {
                line.to_ascii_uppercase()
                    .contains(&about.to_ascii_uppercase())
            };
            let about = if about.contains(' ') || about.starts_with(':') {
                "*"
            } else {
                about
            };
            let found: Vec<_> = LINES.iter().filter(is_about).collect();
            if found.is_empty() {
                out.reply(
                    numeric::ERR_HELPNOTFOUND,
                    &[about],
                    "There is no help on this",
                );
                return;
            }
            out.reply(numeric::RPL_HELPSTART, &[about], "What can be said here:");
            for line in found {
                out.reply(numeric::RPL_HELPTXT, &[about], line);
            }
            out.reply(numeric::RPL_ENDOFHELP, &[about], "The end of it");
        }
    }
}

fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
