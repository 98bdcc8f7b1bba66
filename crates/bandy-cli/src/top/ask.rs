//! Asking the admin endpoint.

use std::time::Duration;

use bandy::endpoint::Endpoint;
use bandy::error::{Error, Kind, Side};
use bandy::http::client::{Connection, Version};
use bandy::http::{Body, HeaderValue, Request, StatusCode, Uri, header};
use bandy::net::tls::{ClientTls, Connector};
use bandy::net::{Dialer, Phases};

use super::Status;

/// How long an answer may take, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 16 << 20;
/// One request for each connection: there is nothing to multiplex.
const ONLY: Option<Version> = Some(Version::Http1);

/// Where to ask, and with which token.
#[derive(Debug, Clone)]
pub struct Source {
    pub endpoint: Endpoint,
    pub token: Option<String>,
}

impl Source {
    /// What it says now.
    ///
    /// # Errors
    /// As [`Source::ask`]; that it is no status.
    pub fn status(&self) -> Result<Status, Error> {
        let said = self.ask()?;
        serde_json::from_str(&said).map_err(|e| {
            let error = Error::new(Kind::Protocol, Side::Upstream, self.act()).because(e);
            error.hint("is that the admin endpoint of a bandy of this version?")
        })
    }

    /// The same as it is sent.
    ///
    /// # Errors
    /// That nobody answers, or not with a status.
    pub fn ask(&self) -> Result<String, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
        runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, self.asked()).await {
                Ok(said) => said,
                Err(_) => Err(Error::new(Kind::TimedOut, Side::Upstream, self.act())
                    .because(format!("no answer came within {PATIENCE:?}"))),
            }
        })
    }

    async fn asked(&self) -> Result<String, Error> {
        let dialer = match self.endpoint.scheme().is_secure() {
            true => Dialer::with_tls(Connector::new(&ClientTls::default())?),
            false => Dialer::plain(),
        };
        let conn = dialer.alpn(Version::alpn(ONLY));
        let conn = conn.connect(&self.endpoint, &mut Phases::default()).await;
        let conn = conn.map_err(|e| {
            let hint = "start it with `--admin http://127.0.0.1:9901`, or write `admin.listen` into its configuration";
            if e.kind() == Kind::NotConnected { e.hint(hint) } else { e }
        })?;
        let mut connection = Connection::open(conn, ONLY).await?;
        let response = connection.send(self.request()?).await?;
        let status = response.status();
        let said = response.into_body().collect(BYTES_MAX).await?;
        if status != StatusCode::OK {
            let error = Error::new(Kind::Usage, Side::Upstream, self.act())
                .because(format!("it answered {status}"));
            return Err(match status {
                StatusCode::UNAUTHORIZED => {
                    error.hint("give its token: --token, or BANDY_ADMIN_TOKEN in the environment")
                }
                _ => error.hint("is that the admin endpoint of a bandy?"),
            });
        }
        String::from_utf8(said.to_vec())
            .map_err(|e| Error::new(Kind::Protocol, Side::Upstream, self.act()).because(e))
    }

    fn request(&self) -> Result<Request, Error> {
        let host = match (self.endpoint.host(), self.endpoint.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => "localhost".to_owned(),
        };
        let failed = |e| Error::new(Kind::Usage, Side::Local, self.act()).because(e);
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/status");
        let fields = request.headers_mut();
        fields.insert(header::HOST, HeaderValue::try_from(host).map_err(failed)?);
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            fields.insert(header::AUTHORIZATION, value.map_err(failed)?);
        }
        Ok(request)
    }

    fn act(&self) -> String {
        format!("asking {} for its status", self.endpoint)
    }
}
