//! From the first line to the welcome: who comes, and what their client can do.

use super::client::Client;
use super::refusal::{self, Act};
use super::rooms::sayable;
use super::source::source;
use super::{NETWORK, welcome};
use crate::accounts::{Admission, Credentials, Secret, User, name};
use crate::services::chat::model::{Arrival, Refused};
use crate::wire::irc::capability::{Answer, Capability, Negotiation};
use crate::wire::irc::sasl::{Sasl, Step};
use crate::wire::irc::{Message, numeric};

/// Failed logins after which the connection is closed; the accounts' own bounds are beyond.
const LOGINS: u32 = 5;

/// What is known of somebody who was not welcomed yet.
#[derive(Debug, Default)]
pub(super) struct Registration {
    pub negotiation: Negotiation,
    sasl: Sasl,
    nick: Option<String>,
    has_user: bool,
    pass: Option<Secret>,
    account: Option<User>,
    failed: u32,
}

impl Client {
    pub(super) async fn cap(&mut self, message: &Message<'_>) {
        let shared = self.shared.clone();
        let answer = self
            .registration
            .negotiation
            .command(message.params(), &shared.offer);
        self.out.caps = self.registration.negotiation.enabled();
        match answer {
            Answer::Lines { subcommand, lines } => {
                let nick = self.out.nick.clone();
                let count = lines.len();
                for (at, words) in lines.iter().enumerate() {
                    let is_last = at + 1 == count;
                    self.out.say("CAP", |line| {
                        let line = line.param(&nick).param(subcommand);
                        let line = if is_last { line } else { line.param("*") };
                        line.text(words).end()
                    });
                }
            }
            Answer::End => self.register().await,
            Answer::Nothing => {}
            Answer::Unknown(name) => {
                let name = sayable(&name);
                self.out
                    .reply(numeric::ERR_INVALIDCAPCMD, &[name], "Invalid CAP command");
            }
            Answer::Missing => {
                self.out.reply(
                    numeric::ERR_NEEDMOREPARAMS,
                    &["CAP"],
                    "Not enough parameters",
                );
            }
        }
    }

    pub(super) fn pass(&mut self, message: &Message<'_>) {
        if self.is_registered() {
            let text = "You may not reregister";
            return self.out.reply(numeric::ERR_ALREADYREGISTERED, &[], text);
        }
        if let Some(password) = self.needs(message, 0) {
            self.registration.pass = Some(Secret::new(password));
        }
    }

    /// NICK before the welcome.
    pub(super) async fn wish(&mut self, message: &Message<'_>) {
        let Some(nick) = message.param(0) else {
            return self
                .out
                .reply(numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
        };
        if let Err(fault) = name::check(mended(nick)) {
            let shown = sayable(nick);
            let text = format!("Erroneous nickname: {fault}");
            return self
                .out
                .reply(numeric::ERR_ERRONEUSNICKNAME, &[shown], &text);
        }
        // Whoever may still log in may well be called as somebody who is here: themselves.
        let Registration {
            negotiation,
            pass,
            account,
            ..
        } = &self.registration;
        let is_guest = !negotiation.holds_registration() && pass.is_none() && account.is_none();
        if is_guest && mended(nick) == nick && !self.hub.0.with(|world| world.is_free(nick)) {
            let why = Refused::NickTaken(nick.to_owned());
            return refusal::tell(&mut self.out, Act::Other, "NICK", nick, &why);
        }
        self.registration.nick = Some(nick.to_owned());
        self.register().await;
    }

    pub(super) async fn user(&mut self, message: &Message<'_>) {
        if self.is_registered() {
            let text = "You may not reregister";
            return self.out.reply(numeric::ERR_ALREADYREGISTERED, &[], text);
        }
        // The name and the real name have to be there, and are not kept: nobody proved them.
        if (0..4).any(|at| message.param(at).is_none()) {
            return self.out.reply(
                numeric::ERR_NEEDMOREPARAMS,
                &["USER"],
                "Not enough parameters",
            );
        }
        self.registration.has_user = true;
        self.register().await;
    }

    pub(super) async fn authenticate(&mut self, message: &Message<'_>) {
        if !self.out.has(Capability::Sasl) {
            return self.unknown(message.command);
        }
        if self.registration.account.is_some() || self.is_registered() {
            // Who one is cannot change during a connection: to others it would be somebody else.
            let text = "You have already authenticated, or are a guest: connect again to log in";
            return self.out.reply(numeric::ERR_SASLALREADY, &[], text);
        }
        let Some(word) = self.needs(message, 0) else {
            return;
        };
        match self.registration.sasl.command(word) {
            Step::Challenge => {
                let line = |line: crate::wire::irc::Body<'_>| line.param("+").end();
                self.out
                    .line(&super::out::Marks::default(), None, "AUTHENTICATE", line);
            }
            Step::More => {}
            Step::Check(plain) => {
                let is_oneself = plain.authzid.is_empty() || plain.authzid == plain.authcid;
                let password = Secret::new(plain.password.as_str());
                let credentials = Credentials::new(plain.authcid.as_str(), password);
                match is_oneself && self.log_in(credentials).await {
                    true => {
                        let text = "SASL authentication successful";
                        self.out.reply(numeric::RPL_SASLSUCCESS, &[], text);
                    }
                    false => self.sasl_failed(),
                }
            }
            Step::Mechanism => {
                self.out.reply(
                    numeric::RPL_SASLMECHS,
                    &["PLAIN"],
                    "are available SASL mechanisms",
                );
                self.sasl_failed();
            }
            Step::Invalid => self.sasl_failed(),
            Step::TooLong => {
                self.out
                    .reply(numeric::ERR_SASLTOOLONG, &[], "SASL message too long");
            }
            Step::Aborted => {
                self.out
                    .reply(numeric::ERR_SASLABORTED, &[], "SASL authentication aborted");
            }
        }
    }

    fn sasl_failed(&mut self) {
        self.out
            .reply(numeric::ERR_SASLFAIL, &[], "SASL authentication failed");
        self.registration.failed += 1;
        if self.registration.failed >= LOGINS {
            self.leave("Too many failed logins");
        }
    }

    /// Shows a password to the accounts. Whether it is right; then that is told.
    async fn log_in(&mut self, credentials: Credentials) -> bool {
        let admission = self.hub.accounts().check(credentials, self.address).await;
        let user = match admission {
            Ok(Admission::Granted(user)) => user,
            Ok(Admission::Wrong) => return false,
            Ok(Admission::TooMany { retry_after }) => {
                let text = format!("Too many attempts: wait {} s", retry_after.as_secs().max(1));
                self.out
                    .fail("AUTHENTICATE", "TOO_MANY_ATTEMPTS", &[], &text);
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, "a login over IRC");
                self.out.fail(
                    "AUTHENTICATE",
                    "TEMPORARILY_UNAVAILABLE",
                    &[],
                    "Try again later",
                );
                return false;
            }
        };
        let nick = self
            .registration
            .nick
            .as_deref()
            .map_or("*", mended)
            .to_owned();
        let who = format!(
            "{nick}!{}@user/{}",
            user.name,
            user.name.to_ascii_lowercase()
        );
        let text = format!("You are now logged in as {}", user.name);
        self.out
            .reply(numeric::RPL_LOGGEDIN, &[&who, &user.name], &text);
        self.registration.account = Some(user);
        true
    }

    /// Welcomes whoever has said all that is needed.
    async fn register(&mut self) {
        let Registration {
            nick,
            has_user,
            negotiation,
            ..
        } = &self.registration;
        let Some(nick) = nick
            .clone()
            .filter(|_| *has_user && !negotiation.holds_registration())
        else {
            return;
        };
        if self.is_registered() || self.over.is_some() {
            return;
        }
        if let Some(pass) = self.registration.pass.take()
            && self.registration.account.is_none()
        {
            let (user, password) = match pass.expose().split_once(':') {
                Some((user, password)) if name::check(user).is_ok() => (user, password),
                _ => (mended(&nick), pass.expose()),
            };
            let credentials = Credentials::new(user, Secret::new(password));
            if !self.log_in(credentials).await {
                self.out
                    .reply(numeric::ERR_PASSWDMISMATCH, &[], "Password incorrect");
                return self.leave("Bad password");
            }
        }
        self.open(nick).await;
    }

    async fn open(&mut self, nick: String) {
        let account = self.registration.account.as_ref();
        let has_power = |role: &String| role == "admin" || role == "moderator";
        let arrival = Arrival {
            nick: mended(&nick).to_owned(),
            account: account.map(|user| user.name.clone()),
            guest: None,
            is_admin: account.is_some_and(|user| user.roles.iter().any(has_power)),
            address: self.address,
        };
        // A client that tries a nick with a sign behind it has been refused the one without: any like it will do.
        let opened = match mended(&nick) == nick {
            true => self.hub.open_as(arrival).await,
            false => self.hub.open(arrival).await,
        };
        match opened {
            Ok(Ok(session)) => {
                self.me = session.who();
                self.out.nick.clone_from(&self.me.nick);
                self.to_join.extend(session.rooms().iter().cloned());
                self.session = Some(session);
                self.registration.negotiation.registered();
                self.welcome().await;
            }
            Ok(Err(
                why @ (Refused::NickTaken(_) | Refused::NickReserved(_) | Refused::NickWrong(_)),
            )) => {
                self.registration.nick = None;
                refusal::tell(&mut self.out, Act::Other, "NICK", &nick, &why);
            }
            Ok(Err(why)) => self.leave(&why.to_string()),
            Err(error) => {
                tracing::warn!(%error, "letting somebody in over IRC");
                self.leave("The server cannot let you in now");
            }
        }
    }

    async fn welcome(&mut self) {
        let me = source(&self.me);
        welcome::welcome(&mut self.out, &me, NETWORK, self.shared.since);
        self.lusers().await;
        self.motd();
    }
}

/// A nick without the signs that clients put behind one that is taken: `ada_` and `ada|` mean one like `ada`.
fn mended(nick: &str) -> &str {
    let mended = nick.trim_end_matches(['_', '-', '^', '`', '|']);
    if mended.is_empty() { nick } else { mended }
}
