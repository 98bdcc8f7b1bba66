//! A template for each message.

use std::io::Write;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::template::{Field, Template};
use crate::error::Result;
use crate::net::conn::Conn;
use crate::service::Service;

/// The reply service: its template for each message. See [`super::template`] for what a template can say.
#[derive(Debug, Clone)]
pub struct Reply {
    template: Template,
    pause: Option<Duration>,
}

impl Reply {
    /// Replies with `template`. On a stream a line is a message, and so is one that was begun and then followed by a
    /// silence of `pause`; `None` waits for its end.
    pub fn new(template: Template, pause: Option<Duration>) -> Reply {
        Reply { template, pause }
    }
}

impl Service<Conn> for Reply {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        let mut messages = conn.messages().pause(self.pause);
        let mut answer = Vec::new();
        let mut count = 0u64;
        while let Some(message) = messages.next().await? {
            count += 1;
            answer.clear();
            self.template.render(&mut answer, |field, out| {
                if field == Field::Message {
                    out.extend_from_slice(&message);
                } else {
                    // Writing into memory cannot fail.
                    let _ = write!(out, "{}", value(field, messages.conn(), count));
                }
            });
            messages.send(&answer).await?;
        }
        messages.close().await;
        Ok(())
    }
}

fn value(field: Field, conn: &Conn, count: u64) -> String {
    match field {
        Field::Message => String::new(),
        Field::Peer => conn.peer().to_string(),
        Field::Local => conn.endpoint().to_string(),
        // A clock outside of the years 0 to 9999 has no such form.
        Field::Time => OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default(),
        Field::N => count.to_string(),
    }
}
