//! What one client is sent: lines with the tags that it may have, and the answers to a command that had a label put
//! together (IRCv3 labeled-response).

use std::borrow::Cow;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::wire::irc::capability::{Capabilities, Capability};
use crate::wire::irc::{Body, Compose, Numeric, Unsayable, history, tags};

/// What a line says of itself in its tags. A client gets those that it has asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks<'a> {
    /// When it was said; lines without one are said now.
    pub time: Option<OffsetDateTime>,
    /// Under which name it is found again.
    pub msgid: Option<Cow<'a, str>>,
    /// As what the speaker is logged in.
    pub account: Option<&'a str>,
    /// What the speaker's client has to say to others' clients: keys with their `+`.
    pub client: &'a [(String, String)],
    /// The batch that it belongs to.
    pub batch: Option<&'a str>,
}

/// A line's tags without `@` and space, and the line behind them.
pub(super) type Tagged = (Vec<u8>, Vec<u8>);

/// Lines for one client that are not on their way yet.
#[derive(Debug)]
pub(super) struct Out {
    server: Arc<str>,
    /// As the client is called in replies: `*` as long as it has no nick.
    pub nick: String,
    pub caps: Capabilities,
    ready: Vec<u8>,
    /// The answers to the command that has a label.
    labelled: Option<Labelled>,
    batches: u64,
}

#[derive(Debug)]
pub(super) struct Labelled {
    label: String,
    lines: Vec<Tagged>,
    /// The answer is one batch already, which carries the label.
    is_batch: bool,
}

impl Out {
    pub fn new(server: Arc<str>) -> Out {
        Out {
            server,
            nick: "*".to_owned(),
            caps: Capabilities::NONE,
            ready: Vec::new(),
            labelled: None,
            batches: 0,
        }
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn has(&self, capability: Capability) -> bool {
        self.caps.has(capability)
    }

    /// What is to be written, and nothing is left.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.ready.len()
    }

    /// A line with its tags. `write` adds the parameters.
    ///
    /// What cannot be said is left out: all that comes from others was made sayable before, so that is a mistake of ours.
    pub fn line(
        &mut self,
        marks: &Marks<'_>,
        source: Option<&str>,
        command: &str,
        write: impl FnOnce(Body<'_>) -> Result<(), Unsayable>,
    ) {
        let mut tags = Vec::new();
        let mut body = Vec::new();
        write_tags(&mut tags, self.caps, marks);
        match write(Compose::new(&mut body).command(source, command)) {
            Ok(()) => self.push(tags, body),
            Err(why) => tracing::warn!(command, %why, "a line that cannot be said"),
        }
    }

    /// Lines that were written elsewhere, with their tags.
    pub fn lines(&mut self, lines: Vec<Tagged>) {
        for (tags, body) in lines {
            self.push(tags, body);
        }
    }

    /// As [`Out::lines`], for those that are put together already.
    pub fn ready(&mut self, lines: &[u8]) {
        self.ready.extend_from_slice(lines);
    }

    /// Whether lines are being put together as an answer, so that none can be taken as it is.
    pub fn is_answering(&self) -> bool {
        self.labelled.is_some()
    }

    /// What is written meanwhile belongs to no answer.
    pub fn aside(&mut self) -> Option<Labelled> {
        self.labelled.take()
    }

    /// The end of that.
    pub fn go_on(&mut self, labelled: Option<Labelled>) {
        self.labelled = labelled;
    }

    /// A line of the server's own.
    pub fn say(&mut self, command: &str, write: impl FnOnce(Body<'_>) -> Result<(), Unsayable>) {
        let server = self.server.clone();
        self.line(&Marks::default(), Some(&server), command, write);
    }

    /// A reply by its number: the client's name comes first, then these parameters, then a text that is cut where the line
    /// has no more room.
    pub fn reply(&mut self, numeric: Numeric, params: &[&str], text: &str) {
        let nick = self.nick.clone();
        let params = params.iter().copied();
        self.say(&numeric.to_string(), |line| {
            line.param(&nick).params(params).text(text).end_cut()
        });
    }

    /// A reply by its number that has no text.
    pub fn reply_bare(&mut self, numeric: Numeric, params: &[&str]) {
        let nick = self.nick.clone();
        let params = params.iter().copied();
        self.say(&numeric.to_string(), |line| {
            line.param(&nick).params(params).end()
        });
    }

    /// `FAIL command CODE context… :text` (IRCv3 standard-replies). What is answered so has no number, so that clients are
    /// told whether they asked for the capability or not.
    pub fn fail(&mut self, command: &str, code: &str, context: &[&str], text: &str) {
        let context = context.iter().copied();
        self.say("FAIL", |line| {
            let line = line.param(command).param(code);
            line.params(context).text(text).end_cut()
        });
    }

    /// Begins a batch: its reference.
    pub fn begin_batch(&mut self, kind: &str, params: &[&str]) -> String {
        self.batches += 1;
        let reference = self.batches.to_string();
        let params = params.iter().copied();
        if let Some(labelled) = &mut self.labelled
            && labelled.lines.is_empty()
        {
            labelled.is_batch = true;
        }
        self.say("BATCH", |line| {
            line.param(&format!("+{reference}"))
                .param(kind)
                .params(params)
                .end()
        });
        reference
    }

    pub fn end_batch(&mut self, reference: &str) {
        self.say("BATCH", |line| line.param(&format!("-{reference}")).end());
    }

    /// What follows, until [`Out::answered`], answers a command with this label.
    pub fn answer_to(&mut self, label: Option<String>) {
        self.labelled = label
            .filter(|_| self.has(Capability::LabeledResponse) && self.has(Capability::Batch))
            .map(|label| Labelled {
                label,
                lines: Vec::new(),
                is_batch: false,
            });
    }

    /// The command is answered: one line gets the label itself, several a batch with it, and none is an `ACK`.
    pub fn answered(&mut self) {
        let Some(Labelled {
            label,
            mut lines,
            is_batch,
        }) = self.labelled.take()
        else {
            return;
        };
        match lines.as_mut_slice() {
            [] => self.with_label(&label, None, "ACK", &[]),
            [(tags, _)] => add_tag(tags, "label", &label),
            [(tags, _), ..] if is_batch => add_tag(tags, "label", &label),
            _ => {
                self.batches += 1;
                let reference = self.batches.to_string();
                let begin = format!("+{reference}");
                self.with_label(&label, None, "BATCH", &[&begin, "labeled-response"]);
                for (mut tags, body) in lines {
                    // What is in a batch already has its own, which is in this one.
                    if !has_batch(&tags) {
                        add_tag(&mut tags, "batch", &reference);
                    }
                    self.push(tags, body);
                }
                let end = format!("-{reference}");
                self.say("BATCH", |line| line.param(&end).end());
                return;
            }
        }
        for (tags, body) in lines {
            self.push(tags, body);
        }
    }

    fn with_label(&mut self, label: &str, source: Option<&str>, command: &str, params: &[&str]) {
        let mut tags = Vec::new();
        let mut body = Vec::new();
        add_tag(&mut tags, "label", label);
        let server = self.server.clone();
        let line = Compose::new(&mut body).command(Some(source.unwrap_or(&server)), command);
        if line.params(params.iter().copied()).end().is_ok() {
            self.push(tags, body);
        }
    }

    fn push(&mut self, tags: Vec<u8>, body: Vec<u8>) {
        match &mut self.labelled {
            Some(labelled) => labelled.lines.push((tags, body)),
            None => put_line(&mut self.ready, &tags, &body),
        }
    }
}

/// A line with its tags, ready to be sent.
pub(super) fn put_line(out: &mut Vec<u8>, tags: &[u8], body: &[u8]) {
    if !tags.is_empty() {
        out.push(b'@');
        out.extend_from_slice(tags);
        out.push(b' ');
    }
    out.extend_from_slice(body);
}

/// The tags that a client with these capabilities may have, without `@` and space.
pub(super) fn write_tags(tags: &mut Vec<u8>, caps: Capabilities, marks: &Marks<'_>) {
    if let Some(reference) = marks.batch
        && caps.has(Capability::Batch)
    {
        add_tag(tags, "batch", reference);
    }
    if caps.has(Capability::ServerTime)
        && let Some(time) = marks.time.and_then(history::server_time)
    {
        add_tag(tags, "time", &time);
    }
    if let Some(account) = marks.account
        && caps.has(Capability::AccountTag)
    {
        add_tag(tags, "account", account);
    }
    if caps.has(Capability::MessageTags) {
        if let Some(msgid) = &marks.msgid {
            add_tag(tags, "msgid", msgid);
        }
        for (key, value) in marks.client {
            add_tag(tags, key, value);
        }
    }
}

/// One more tag. Keys are ours, or were checked; of a value that cannot be written nothing is.
fn add_tag(tags: &mut Vec<u8>, key: &str, value: &str) {
    let before = tags.len();
    if !tags.is_empty() {
        tags.push(b';');
    }
    tags.extend_from_slice(key.as_bytes());
    if !value.is_empty() {
        tags.push(b'=');
        if !tags::escape(value, tags) {
            tags.truncate(before);
        }
    }
}

fn has_batch(tags: &[u8]) -> bool {
    tags.split(|b| *b == b';')
        .any(|tag| tag.starts_with(b"batch="))
}
