//! `--trace`: where the time went, as a timeline on stderr.

use std::fmt::Write;
use std::time::Duration;

use bandy::Endpoint;
use bandy::client::{Outcome, Times};
use bandy::net::tls;

/// Columns of the timeline.
const WIDTH: u32 = 48;

/// What is drawn.
#[derive(Debug)]
pub struct Drawing<'a> {
    /// What was asked.
    pub title: String,
    /// Who answered.
    pub peer: Option<&'a str>,
    pub tls: Option<&'a tls::Info>,
    pub times: &'a Times,
    /// What it came to.
    pub end: String,
}

/// Draws a conversation.
pub fn draw(drawing: &Drawing<'_>) {
    let is_utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        });
    eprint!("{}", drawn(drawing, if is_utf8 { '━' } else { '=' }));
}

/// Draws a conversation over a stream or of messages.
pub fn draw_outcome(endpoint: &Endpoint, outcome: &Outcome) {
    draw(&Drawing {
        title: endpoint.to_string(),
        peer: outcome.peer.as_ref().map(ToString::to_string).as_deref(),
        tls: outcome.tls.as_ref(),
        times: &outcome.times,
        end: format!(
            "{} sent, {} received, {}; {}",
            plural(outcome.sent_bytes, "byte"),
            plural(outcome.received_bytes, "byte"),
            plural(outcome.answers as u64, "answer"),
            outcome.ended
        ),
    });
}

fn drawn(drawing: &Drawing<'_>, mark: char) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", drawing.title);
    if let Some(peer) = drawing.peer
        && !drawing.title.contains(peer)
    {
        let _ = write!(out, " at {peer}");
    }
    out.push('\n');
    if let Some(tls) = drawing.tls {
        let _ = write!(out, "  {}, {}", tls.version, tls.cipher);
        if let Some(alpn) = &tls.alpn {
            let _ = write!(out, ", {}", alpn.escape_debug());
        }
        out.push('\n');
        if let Some(certificate) = &tls.peer_certificate {
            let _ = writeln!(
                out,
                "  certificate {}, issued by {}, good until {}",
                certificate.subject,
                certificate.issuer,
                certificate.not_after_day()
            );
        }
    }
    for (name, span) in drawing.times.parts() {
        let (from, columns) = place(span.start, span.took, drawing.times.total);
        let _ = writeln!(
            out,
            "  {name:<8}{:>11}  {}{}",
            ms(span.took),
            " ".repeat(from),
            mark.to_string().repeat(columns)
        );
    }
    let total = ms(drawing.times.total);
    let _ = writeln!(out, "  {:<8}{total:>11}  {}", "total", drawing.end);
    out
}

/// Where a bar begins, and its length: at least one column, within the width.
fn place(start: Duration, took: Duration, total: Duration) -> (usize, usize) {
    let column = |at: Duration| match total.is_zero() {
        true => 0,
        false => (at.as_secs_f64() / total.as_secs_f64() * f64::from(WIDTH)).round() as usize,
    };
    let from = column(start).min(WIDTH as usize - 1);
    let to = column(start + took).clamp(from + 1, WIDTH as usize);
    (from, to - from)
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// So many of these.
pub fn plural(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_there_and_within_the_width() {
        let ms = Duration::from_millis;
        assert_eq!(place(ms(0), ms(100), ms(100)), (0, 48));
        assert_eq!(place(ms(50), ms(50), ms(100)), (24, 24));
        assert_eq!(place(ms(100), ms(0), ms(100)), (47, 1));
        assert_eq!(place(ms(0), ms(0), ms(0)), (0, 1));
    }
}
