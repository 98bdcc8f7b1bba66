//! What a file's name says of what is in it.

use std::path::Path;

use crate::http::HeaderValue;

/// A media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media(&'static str);

impl Media {
    /// By the name's extension.
    pub(super) fn of(name: &[u8]) -> Media {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        Media(match mime_guess::from_path(path).first_raw() {
            // RFC 9239 made them one.
            Some("application/javascript") => "text/javascript",
            Some(guess) => guess,
            None => "application/octet-stream",
        })
    }

    /// As `Content-Type` says it; text is taken to be UTF-8.
    pub(super) fn value(self) -> HeaderValue {
        const OTHERS: HeaderValue = HeaderValue::from_static("application/octet-stream");
        match self.0.starts_with("text/") {
            true => HeaderValue::try_from(format!("{}; charset=utf-8", self.0)).unwrap_or(OTHERS),
            false => HeaderValue::from_static(self.0),
        }
    }

    /// Whether anybody would put a compressed copy beside it: only then is one looked for.
    pub(super) fn is_compressible(self) -> bool {
        let (kind, rest) = self.0.split_once('/').unwrap_or((self.0, ""));
        match kind {
            "text" => true,
            "font" => !rest.starts_with("woff"),
            "image" => matches!(rest, "svg+xml" | "bmp" | "x-icon"),
            "application" => {
                let is_text = ["json", "xml"].iter().any(|end| rest.ends_with(end));
                is_text || matches!(rest, "wasm" | "rtf")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types() {
        for (name, expected, is_compressible) in [
            ("index.html", "text/html; charset=utf-8", true),
            ("A.HTML", "text/html; charset=utf-8", true),
            ("a.css", "text/css; charset=utf-8", true),
            ("a.js", "text/javascript; charset=utf-8", true),
            ("a.mjs", "text/javascript; charset=utf-8", true),
            ("a.txt", "text/plain; charset=utf-8", true),
            ("a.md", "text/markdown; charset=utf-8", true),
            ("a.json", "application/json", true),
            ("a.wasm", "application/wasm", true),
            ("a.svg", "image/svg+xml", true),
            ("a.png", "image/png", false),
            ("a.webp", "image/webp", false),
            ("a.avif", "image/avif", false),
            ("a.woff2", "font/woff2", false),
            ("a.pdf", "application/pdf", false),
            ("a.mp4", "video/mp4", false),
            ("a.js.gz", "application/gzip", false),
            ("Makefile", "application/octet-stream", false),
            ("a.", "application/octet-stream", false),
            ("", "application/octet-stream", false),
        ] {
            let media = Media::of(name.as_bytes());
            assert_eq!(media.value(), expected, "{name}");
            assert_eq!(media.is_compressible(), is_compressible, "{name}");
        }
        assert_eq!(Media::of(b"\xff.html").value(), "text/html; charset=utf-8");
    }
}
