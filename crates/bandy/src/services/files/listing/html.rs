//! A listing for people: one page without scripts, for screens of any size, dark or light.

use std::fmt::Write;
use std::sync::LazyLock;

use aws_lc_rs::digest;

use super::{By, Entry, Listing};
use crate::http::{HeaderValue, Response, StatusCode, header, typed};

const STYLE: &str = include_str!("style.css");

pub(super) fn response(listing: &Listing, may_upload: bool) -> Response {
    let mut response = typed(
        StatusCode::OK,
        "text/html; charset=utf-8",
        page(listing, may_upload),
    );
    let fields = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy(may_upload)) {
        fields.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let referrer = HeaderValue::from_static("same-origin");
    fields.insert(header::REFERRER_POLICY, referrer);
    response
}

/// Nothing is loaded and nothing runs; the one style is named by its digest. The icon, which browsers would ask for, is empty.
fn policy(may_upload: bool) -> String {
    static STYLE_DIGEST: LazyLock<String> = LazyLock::new(|| {
        let digest = digest::digest(&digest::SHA256, STYLE.as_bytes());
        base64(digest.as_ref())
    });
    let forms = if may_upload { "'self'" } else { "'none'" };
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; form-action {forms}; base-uri 'none'; frame-ancestors 'none'",
        *STYLE_DIGEST
    )
}

fn page(listing: &Listing, may_upload: bool) -> String {
    let title = escape(&listing.path);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <table>\n<thead><tr>"
    );
    for (by, text) in By::ALL.into_iter().zip(["Name", "Size", "Changed"]) {
        out.push_str(&heading(listing, by, text));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    if !listing.is_root {
        out.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &listing.entries {
        out.push_str(&row(entry));
    }
    out.push_str("</tbody>\n</table>\n");
    if listing.entries.is_empty() {
        out.push_str("<p>Nothing is here.</p>\n");
    }
    if listing.is_cut {
        let shown = listing.entries.len();
        // Writing to a string does not fail.
        let _ = writeln!(out, "<p>There is more than these {shown}.</p>");
    }
    if may_upload {
        out.push_str(FORM);
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// The box comes first, so that whoever reads the form knows it when the files come.
const FORM: &str = "<form method=\"post\" enctype=\"multipart/form-data\">\n\
    <label><input type=\"checkbox\" name=\"replace\" value=\"yes\"> Replace files of the same name</label>\n\
    <input type=\"file\" name=\"file\" aria-label=\"Files\" multiple required>\n\
    <button>Upload</button>\n</form>\n";

/// A heading that sorts by its column; the other way round where it does already.
fn heading(listing: &Listing, by: By, text: &str) -> String {
    let is_current = listing.order.by == by;
    let is_descending = is_current && !listing.order.is_descending;
    let (sort, order) = (by.as_str(), if is_descending { "desc" } else { "asc" });
    let (mark, aria) = match (is_current, listing.order.is_descending) {
        (false, _) => ("", "none"),
        (true, false) => (" ↑", "ascending"),
        (true, true) => (" ↓", "descending"),
    };
    format!(
        "<th aria-sort=\"{aria}\"><a href=\"./?sort={sort}&amp;order={order}\">{text}{mark}</a></th>"
    )
}

fn row(entry: &Entry) -> String {
    let slash = if entry.is_folder() { "/" } else { "" };
    let size = match entry.is_folder() {
        true => String::new(),
        false => size(entry.state.size),
    };
    format!(
        "<tr><td><a href=\"{}\">{}{slash}</a></td><td>{size}</td><td>{}</td></tr>\n",
        entry.href(),
        escape(&entry.text()),
        time(entry.state.modified.0)
    )
}

/// Three digits and a unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).clamp(1, 6);
    // A float has digits enough for three.
    let value = bytes as f64 / (1_u64 << (10 * power)) as f64;
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or_default();
    match value < 10.0 {
        true => format!("{value:.1} {unit}"),
        false => format!("{value:.0} {unit}"),
    }
}

fn time(seconds: i64) -> String {
    let Ok(time) = time::OffsetDateTime::from_unix_timestamp(seconds) else {
        return String::new();
    };
    let (date, hour, minute) = (time.date(), time.hour(), time.minute());
    format!("{date} {hour:02}:{minute:02} UTC")
}

/// Text as HTML shows it, inside an element or a quoted attribute. Control characters, which could turn the reading
/// direction or hide the end of a name, become visible.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let at = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(match digit > chunk.len() {
                true => '=',
                false => DIGITS.get(at).copied().unwrap_or(b'A').into(),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 10, "10 KiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let name = "<script>\"'&\u{202e}\n";
        let expected = "&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}";
        assert_eq!(escape(name), expected);
    }
}
