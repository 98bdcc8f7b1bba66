//! A person at an IRC client, line by line.

use bandy::wire::irc::{Message, TAG_BYTES, names};
use bandy_testkit::{Client, within};

/// One end of a conversation of lines.
pub struct Person {
    client: Client,
    /// What came and was not looked at.
    held: Vec<u8>,
    nick: String,
}

/// A line as it came, and what it says.
pub struct Heard(String);

impl Heard {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0, TAG_BYTES).unwrap_or_else(|why| panic!("{why}: {}", self.0))
    }

    /// The line without its tags.
    pub fn line(&self) -> &str {
        match self.0.strip_prefix('@') {
            Some(tagged) => tagged.split_once(' ').expect("a line behind its tags").1,
            None => &self.0,
        }
    }

    #[track_caller]
    pub fn tag(&self, key: &str) -> String {
        let tag = self.message().tag(key);
        tag.unwrap_or_else(|| panic!("no tag {key} in {}", self.0))
            .into_owned()
    }

    pub fn tags(&self) -> Vec<String> {
        let mut keys: Vec<_> = self
            .message()
            .tags
            .iter()
            .map(|(key, _)| key.to_owned())
            .collect();
        keys.sort();
        keys
    }

    #[track_caller]
    pub fn is(self, pattern: &str) -> Heard {
        assert!(self.fits(pattern), "expected {pattern}\n heard {}", self.0);
        self
    }

    /// `*` is anything, `?` any character. A pattern without a source fits whoever says it.
    fn fits(&self, pattern: &str) -> bool {
        let line = self.line();
        let without_source = match line.strip_prefix(':') {
            Some(sourced) if !pattern.starts_with(':') => {
                sourced.split_once(' ').map_or("", |(_, rest)| rest)
            }
            _ => line,
        };
        names::matches(pattern, without_source)
    }
}

impl Person {
    pub fn new(client: Client) -> Person {
        Person {
            client,
            held: Vec::new(),
            nick: String::new(),
        }
    }

    pub async fn say(&mut self, line: &str) {
        self.client.say(format!("{line}\r\n")).await;
    }

    /// Bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.say(bytes).await;
    }

    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(at) = self.held.windows(2).position(|end| end == b"\r\n") {
                let line: Vec<u8> = self.held.drain(..at + 2).collect();
                let text = String::from_utf8(line).expect("UTF-8");
                let line = text.trim_end_matches("\r\n");
                let stray = |c| matches!(c, '\r' | '\n' | '\0');
                assert!(!line.contains(stray), "a line in a line: {line:?}");
                return Some(Heard(line.to_owned()));
            }
            match self.client.hear_some().await {
                Some(bytes) => self.held.extend_from_slice(&bytes),
                None => return None,
            }
        }
    }

    #[track_caller]
    pub fn hear(&mut self) -> impl Future<Output = Heard> {
        within("a line", async {
            self.next().await.expect("a line before the end")
        })
    }

    /// The next line, which is to fit the pattern.
    pub async fn hears(&mut self, pattern: &str) -> Heard {
        self.hear().await.is(pattern)
    }

    /// The next line that fits the pattern, whatever comes before.
    #[track_caller]
    pub fn until(&mut self, pattern: &str) -> impl Future<Output = Heard> {
        within(format!("a line like {pattern}"), async move {
            let mut before = Vec::new();
            loop {
                match self.next().await {
                    Some(heard) if heard.fits(pattern) => return heard,
                    Some(heard) => before.push(heard.0),
                    None => panic!(
                        "the end before a line like {pattern}:\n{}",
                        before.join("\n")
                    ),
                }
            }
        })
    }

    /// Says something and gives all the lines until everything that it led to has come back.
    pub async fn ask(&mut self, line: &str) -> Vec<Heard> {
        self.say(line).await;
        self.rest().await
    }

    /// Says something, which is to be answered by one line that fits.
    pub async fn asks(&mut self, line: &str, pattern: &str) -> Heard {
        self.say(line).await;
        self.hears(pattern).await
    }

    /// What has come by now.
    pub async fn rest(&mut self) -> Vec<Heard> {
        self.say("PING are-you-there").await;
        let mut lines = Vec::new();
        loop {
            let heard = self.hear().await;
            if heard.fits("PONG * :are-you-there") {
                return lines;
            }
            lines.push(heard);
        }
    }

    /// Nothing has come.
    pub async fn hears_nothing(&mut self) {
        let lines: Vec<_> = self.rest().await.into_iter().map(|heard| heard.0).collect();
        assert!(lines.is_empty(), "{}: {}", self.nick, lines.join("\n"));
    }

    /// The end of the conversation, behind an ERROR.
    pub async fn is_sent_away(&mut self, why: &str) {
        self.until(&format!("ERROR {why}")).await;
        within("the end", async { assert!(self.next().await.is_none()) }).await;
    }

    /// Gets these capabilities.
    pub async fn wants(&mut self, capabilities: &str) {
        self.say(&format!("CAP REQ :{capabilities}")).await;
        self.until("CAP * ACK :*").await;
    }

    /// Becomes somebody, and hears all of the welcome.
    pub async fn registers(&mut self, nick: &str) {
        nick.clone_into(&mut self.nick);
        self.say(&format!("NICK {nick}")).await;
        self.say(&format!("USER {nick} 0 * :Real {nick}")).await;
        self.say("CAP END").await;
        self.until(&format!("001 {nick} *")).await;
        self.until("376 *").await;
        self.rest().await;
    }

    /// Joins a room, and hears all of its welcome.
    pub async fn joins(&mut self, channel: &str) {
        self.say(&format!("JOIN {channel}")).await;
        self.until(&format!(
            "366 * {} :*",
            channel.split(' ').next().unwrap_or_default()
        ))
        .await;
        self.rest().await;
    }
}
