//! One exchange: connecting, the request out, the answer in, and what is known of it afterwards.

use std::time::{Duration, Instant};

use bandy::Endpoint;
use bandy::client::{Span, Times};
use bandy::error::{Error, Kind, Result, Side};
use bandy::http::client::{Connection, Seen, Version, Watch};
use bandy::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};
use bandy::net::{Dialer, Phases, tls};
use tokio::sync::watch;

use super::build::{self, Question};
use super::output::field;
use super::{View, media, output, show, url};
use crate::ask::output::Output;
use crate::ask::{AskArgs, trace};

/// How long a silence of the server is borne, and whether someone said so.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub silence: Option<Duration>,
    pub is_wanted: bool,
}

/// One request and its answer, as far as it went.
#[derive(Debug)]
pub struct Course {
    pub url: Endpoint,
    pub method: Method,
    /// What was sent of fields.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    pub version: Option<Version>,
    pub peer: Option<String>,
    pub tls: Option<tls::Info>,
    pub answer: Option<(StatusCode, HeaderMap)>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// Of the body as it came over, decoded or not.
    pub body_bytes: u64,
    pub times: Times,
    patience: Patience,
    watch: Watch,
    began: Instant,
    connected: Option<Instant>,
    /// What the connection had sent and received in exchanges before this.
    before: (u64, u64),
}

/// Ctrl-C, for all who wait.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Watches for it from now on.
    pub fn at_interrupt() -> Stop {
        let (tell, stop) = watch::channel(false);
        tokio::spawn(async move {
            crate::ask::interrupted().await;
            tell.send_replace(true);
        });
        Stop(stop)
    }

    /// Resolves once it came.
    pub async fn wait(mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How to connect: with TLS or without. The first costs a look at all of the system's CAs, so it is made once.
pub struct Dialers<'a> {
    args: &'a AskArgs,
    secure: Option<Dialer>,
}

impl<'a> Dialers<'a> {
    /// Those for `first` and where it leads.
    ///
    /// # Errors
    /// What is wrong with options about TLS.
    pub fn new(args: &'a AskArgs, first: &Endpoint) -> Result<Dialers<'a>> {
        let mut dialers = Dialers { args, secure: None };
        if first.scheme().is_secure() {
            dialers.to(first)?;
        } else if !args.http.follow {
            crate::ask::refuse_tls_options(args, first)?;
        }
        Ok(dialers)
    }

    fn to(&mut self, url: &Endpoint) -> Result<Dialer> {
        if !url.scheme().is_secure() {
            return Ok(Dialer::plain());
        }
        if self.secure.is_none() {
            let dialer = crate::ask::secure_dialer(self.args)?;
            self.secure = Some(dialer.alpn(Version::alpn(self.args.http.http)));
        }
        Ok(self.secure.clone().unwrap_or_else(Dialer::plain))
    }
}

impl Course {
    /// An exchange that begins now.
    pub fn new(url: &Endpoint, method: &Method, patience: Patience) -> Course {
        Course {
            url: url.clone(),
            method: method.clone(),
            fields: Vec::new(),
            version: None,
            peer: None,
            tls: None,
            answer: None,
            sent_bytes: 0,
            received_bytes: 0,
            body_bytes: 0,
            times: Times::default(),
            patience,
            watch: Watch::default(),
            began: Instant::now(),
            connected: None,
            before: (0, 0),
        }
    }

    /// Connects unless there is a connection, sends the request, and gives the answer's head with its body to come.
    pub async fn ask(
        &mut self,
        question: &mut Question,
        fields: &[(HeaderName, HeaderValue)],
        free: Option<Connection>,
        dialers: &mut Dialers<'_>,
        view: &View,
    ) -> Result<(Response, Connection)> {
        self.fields = fields.to_vec();
        let is_used = free.is_some();
        let mut asked = self.exchange(question, fields, free, dialers, view).await;
        // A server may close a connection that was used before just when it is used again: that is no answer of its.
        let was_closed = asked.as_ref().is_err_and(|e| e.kind() == Kind::Closed);
        if is_used && was_closed && self.received_bytes == 0 {
            asked = self.exchange(question, fields, None, dialers, view).await;
        }
        if asked.is_err() {
            self.end();
        }
        asked
    }

    async fn exchange(
        &mut self,
        question: &mut Question,
        fields: &[(HeaderName, HeaderValue)],
        free: Option<Connection>,
        dialers: &mut Dialers<'_>,
        view: &View,
    ) -> Result<(Response, Connection)> {
        let wish = dialers.args.http.http;
        let mut connection = match free {
            Some(connection) => connection,
            None => self.connect(&dialers.to(&self.url)?, wish).await?,
        };
        self.connected = Some(Instant::now());
        self.times.total = self.began.elapsed();
        self.before = (connection.sent_bytes(), connection.received_bytes());
        self.peer = Some(connection.peer().to_string());
        self.tls = connection.tls().cloned();
        self.version = Some(connection.version());
        let request = self.request(question, fields, connection.version())?;
        if view.verbose {
            self.show_request(&connection, &request, question, view);
        }
        let (watch, url) = (self.watch.clone(), self.url.clone());
        let silence = self.patience.silence;
        let sent = watch
            .within(
                silence,
                || format!("waiting for the answer of {url}"),
                connection.send(request),
            )
            .await;
        self.count(&connection);
        if view.verbose {
            for (status, fields) in self.watch.seen().informational {
                let version = connection.version().to_string();
                let head = show::fields(&version, status, &fields);
                show::say((show::head(&head, view.colour) + "\n").as_bytes());
            }
        }
        let answer = sent??;
        self.answer = Some((answer.status(), answer.headers().clone()));
        Ok((answer, connection))
    }

    async fn connect(&mut self, dialer: &Dialer, wish: Option<Version>) -> Result<Connection> {
        let mut phases = Phases::default();
        let connecting = async {
            let conn = dialer.connect(&self.url, &mut phases).await?;
            Connection::open(conn, wish).await
        };
        let connected = match self.patience.silence {
            None => Ok(connecting.await),
            Some(patience) => tokio::time::timeout(patience, connecting)
                .await
                .map_err(|_| patience),
        };
        self.times.phases = phases;
        match connected {
            Ok(connected) => connected,
            Err(patience) => Err(bandy::client::too_slow(&self.url, &phases, patience)),
        }
    }

    fn request(
        &self,
        question: &mut Question,
        fields: &[(HeaderName, HeaderValue)],
        version: Version,
    ) -> Result<Request> {
        let target = self.url.target();
        let uri = match version {
            Version::Http1 => target.to_owned(),
            // The authority is the Host that is wanted.
            Version::Http2 => {
                let host = fields.iter().find(|(name, _)| *name == header::HOST);
                let host = host.and_then(|(_, value)| value.to_str().ok().map(str::to_owned));
                let host = host.unwrap_or_else(|| url::authority(&self.url));
                format!("{}://{host}{target}", self.url.scheme())
            }
        };
        let mut request = Request::new(question.content.open()?);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = build::map(fields);
        *request.uri_mut() = uri.parse().map_err(|e: bandy::http::InvalidUri| {
            Error::new(Kind::Usage, Side::Local, format!("asking {}", self.url)).because(e)
        })?;
        request.extensions_mut().insert(self.watch.clone());
        Ok(request)
    }

    fn show_request(&self, to: &Connection, request: &Request, question: &Question, view: &View) {
        let mut text = String::new();
        let peer = to.peer().to_string();
        let (dim, off) = if view.colour {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        match to.tls() {
            Some(info) => text.push_str(&format!("{dim}{peer}: {}{off}\n", show::tls(info))),
            None => text.push_str(&format!("{dim}{peer}{off}\n")),
        }
        text.push_str(&show::head(&to.written(request), view.colour));
        text.push('\n');
        let body = question.content.shown();
        if !body.is_empty() {
            let kind = field(request.headers(), header::CONTENT_TYPE);
            text.push_str(&String::from_utf8_lossy(&output::shown(
                &body,
                kind,
                view.pretty,
            )));
            text.push('\n');
        }
        show::say(text.as_bytes());
    }

    /// Prints the answer's body as it comes; `false` when it was interrupted.
    pub async fn print(
        &mut self,
        mut answer: Response,
        output: Output,
        stop: &Stop,
    ) -> Result<bool> {
        let mut failed = None;
        loop {
            let piece = tokio::select! {
                piece = self.piece(&mut answer) => piece,
                () = stop.clone().wait() => break,
            };
            let data = match piece {
                Ok(Some(data)) => data,
                Ok(None) => {
                    self.end();
                    // Someone may be reading it page by page.
                    return tokio::select! {
                        written = output.finish() => written.map(|()| true),
                        () = stop.clone().wait() => Ok(false),
                    };
                }
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            };
            let sent = tokio::select! {
                sent = output.send(data) => sent,
                () = stop.clone().wait() => break,
            };
            if sent.is_err() {
                // Nobody reads on, or it cannot be decoded: the thread knows.
                self.end();
                return output.finish().await.map(|()| true);
            }
        }
        self.end();
        // What came so far is printed, unless the reader is stuck.
        let printed = tokio::time::timeout(crate::ask::LAST_WORDS, output.finish()).await;
        match failed {
            Some(e) => Err(e),
            None => printed.unwrap_or(Ok(())).map(|()| false),
        }
    }

    /// The next piece of the answer's body. Cancel-safe.
    pub async fn piece(&mut self, answer: &mut Response) -> Result<Option<bytes::Bytes>> {
        let is_events = media::is_events(field(answer.headers(), header::CONTENT_TYPE));
        let silence = match is_events && !self.patience.is_wanted {
            // Events come when there are any.
            true => None,
            false => self.patience.silence,
        };
        let (watch, url) = (self.watch.clone(), self.url.clone());
        let act = || format!("reading the answer of {url}");
        let piece = watch
            .within(silence, act, answer.body_mut().data())
            .await??;
        self.body_bytes += piece.as_ref().map_or(0, |data| data.len() as u64);
        Ok(piece)
    }

    /// Reads an answer that nobody wants to its end; `false` where that is too far.
    pub async fn drain(&mut self, answer: &mut Response, max: usize) -> bool {
        let mut left = max;
        let whole = loop {
            match self.piece(answer).await {
                Ok(None) => break true,
                Ok(Some(data)) if data.len() <= left => left -= data.len(),
                _ => break false,
            }
        };
        self.end();
        whole
    }

    fn count(&mut self, connection: &Connection) {
        self.sent_bytes = connection.sent_bytes().saturating_sub(self.before.0);
        self.received_bytes = connection.received_bytes().saturating_sub(self.before.1);
    }

    /// The exchange is over: takes its times.
    pub fn end(&mut self) {
        let now = Instant::now();
        let Some(connected) = self.connected else {
            self.times.total = self.began.elapsed();
            return;
        };
        let (sent, received) = self.watch.bytes();
        self.sent_bytes = sent.saturating_sub(self.before.0);
        self.received_bytes = received.saturating_sub(self.before.1);
        let span = |from: Instant, to: Instant| {
            Some(Span {
                start: from.duration_since(self.began),
                took: to.saturating_duration_since(from),
            })
        };
        let Seen { sent, first, .. } = self.watch.seen();
        let heard = first.unwrap_or(now);
        let asked = sent.filter(|sent| *sent <= heard);
        self.times.send = span(connected, sent.unwrap_or(now));
        self.times.wait = span(asked.unwrap_or(connected), heard);
        self.times.receive = first.and_then(|first| span(first, now));
        self.times.total = now.duration_since(self.began);
    }

    /// `--trace`: where the time went.
    pub fn draw(&self) {
        let mut end = format!(
            "{} sent, {} received",
            trace::plural(self.sent_bytes, "byte"),
            trace::plural(self.received_bytes, "byte")
        );
        match &self.answer {
            Some((status, _)) => end.push_str(&format!("; {}", show::status_text(*status))),
            None => end.push_str("; no answer"),
        }
        let version = self.version.map(|version| format!(", {version}"));
        let title = format!(
            "{} {}{}",
            self.method,
            self.url,
            version.unwrap_or_default()
        );
        trace::draw(&trace::Drawing {
            title,
            peer: self.peer.as_deref(),
            tls: self.tls.as_ref(),
            times: &self.times,
            end,
        });
    }
}
