//! Media types: of files by their names, of bytes by how they begin, and what a type means for printing.

use std::path::Path;

const BY_EXTENSION: [(&str, &str); 32] = [
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("toml", "application/toml"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The type of a file of this name, if its extension says one.
pub fn of_file(path: &str) -> Option<&'static str> {
    let extension = Path::new(path).extension()?.to_str()?.to_ascii_lowercase();
    let found = BY_EXTENSION.binary_search_by(|(known, _)| (*known).cmp(extension.as_str()));
    found
        .ok()
        .and_then(|at| BY_EXTENSION.get(at))
        .map(|(_, kind)| *kind)
}

/// The type of something that has no name, by its first bytes.
pub fn of_bytes(bytes: &[u8]) -> &'static str {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    match first {
        Some(b'{' | b'[') => "application/json",
        _ if is_text(bytes) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether these bytes, perhaps cut off at their end, can be shown.
pub fn is_text(bytes: &[u8]) -> bool {
    if bytes.contains(&0) {
        return false;
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character that was cut in two.
        Err(e) => e.error_len().is_none(),
    }
}

/// What a type means for printing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Json,
    Text,
    /// Nothing was said, or nothing that tells.
    Unknown,
}

/// What a `Content-Type` means for printing.
pub fn sort(content_type: Option<&str>) -> Sort {
    let essence = content_type.unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let (kind, sub) = essence.split_once('/').unwrap_or_default();
    match sub {
        "json" | "x-json" => Sort::Json,
        _ if sub.ends_with("+json") => Sort::Json,
        "x-ndjson" | "ndjson" | "jsonl" | "json-seq" => Sort::Json,
        "xml" | "javascript" | "x-www-form-urlencoded" | "yaml" | "toml" => Sort::Text,
        _ if sub.ends_with("+xml") || kind == "text" => Sort::Text,
        _ => Sort::Unknown,
    }
}

/// Whether it comes in events, for as long as there are any (`text/event-stream`).
pub fn is_events(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_found() {
        assert!(BY_EXTENSION.is_sorted());
        assert_eq!(of_file("a/b.JSON"), Some("application/json"));
        assert_eq!(of_file("b.zip"), Some("application/zip"));
        assert_eq!(of_file("a.json/b"), None);
    }

    #[test]
    fn beginnings_and_types() {
        assert_eq!(of_bytes(b" {\"a\":1}"), "application/json");
        assert_eq!(
            of_bytes("gr\u{fc}n".as_bytes()),
            "text/plain; charset=utf-8"
        );
        assert_eq!(of_bytes(b"\x89PNG\r\n\x1a\n\0"), "application/octet-stream");
        assert!(is_text(b"cut \xc3"));
        assert_eq!(sort(Some("application/problem+json; a=b")), Sort::Json);
        assert_eq!(sort(Some("text/html")), Sort::Text);
        assert_eq!(sort(Some("image/png")), Sort::Unknown);
        assert!(is_events(Some("text/event-stream; charset=utf-8")));
    }
}
