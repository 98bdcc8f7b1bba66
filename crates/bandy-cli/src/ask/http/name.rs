//! Names for files, by what strangers say: nothing in them leads out of a folder or tricks a terminal.

use std::path::{Path, PathBuf};

/// Shorter than any file system's limit, with room for what is put behind.
const BYTES_MAX: usize = 200;
/// What is called nothing.
const NAMELESS: &str = "download";

/// The name of what is at a URL's path.
pub fn of_url(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    clean(&decoded(last)).unwrap_or_else(|| NAMELESS.to_owned())
}

/// The name in a `Content-Disposition` (RFC 6266): `filename*` before `filename`.
pub fn of_disposition(field: &str) -> Option<String> {
    let parameters = parameters(field);
    let value = |name: &str| {
        let mut found = parameters.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    };
    if let Some(extended) = value("filename*") {
        // `UTF-8'en'na%C3%AFve.txt` (RFC 8187).
        let mut parts = extended.splitn(3, '\'');
        let is_utf8 = parts.next()?.eq_ignore_ascii_case("utf-8");
        if let (true, Some(name)) = (is_utf8, parts.nth(1)) {
            return clean(&decoded(name));
        }
    }
    clean(value("filename")?)
}

/// The same name with a number before its extension.
pub fn numbered(path: &Path, n: usize) -> PathBuf {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    path.with_file_name(match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{n}.{extension}"),
        _ => format!("{name}-{n}"),
    })
}

/// What is left of a name that can be trusted; `None` where nothing is.
fn clean(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = last.chars().filter(is_harmless).collect();
    let name = name
        .trim()
        .trim_start_matches(['.', '-', '~'])
        .trim_end_matches(['.', ' ']);
    let end = (0..=name.len().min(BYTES_MAX))
        .rev()
        .find(|at| name.is_char_boundary(*at))?;
    let name = name.get(..end)?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    let mut rest = text.as_bytes();
    while let Some(b) = bytes.next() {
        rest = rest.get(1..).unwrap_or_default();
        let digit = |at: usize| rest.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (b, digit(0), digit(1)) {
            // Two hex digits are at most 255.
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes.nth(1);
                rest = rest.get(2..).unwrap_or_default();
            }
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The parameters behind the first `;`, names in lower case, values out of their quotes.
fn parameters(field: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut chars = field.chars().skip_while(|c| *c != ';').peekable();
    while chars.next_if_eq(&';').is_some() {
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !matches!(c, '=' | ';')) {
            name.push(c);
        }
        let mut value = String::new();
        if chars.next_if_eq(&'=').is_some() {
            while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
            if chars.next_if_eq(&'"').is_some() {
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => value.extend(chars.next()),
                        c => value.push(c),
                    }
                }
            }
            while let Some(c) = chars.next_if(|c| *c != ';') {
                value.push(c);
            }
        }
        found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_urls() {
        for (path, name) in [
            ("/a/b.txt", "b.txt"),
            ("/", "download"),
            ("/a/", "download"),
            ("/%2e%2e%2fetc%2fpasswd", "passwd"),
            ("/.bashrc", "bashrc"),
            ("/na%C3%AFve%20name", "na\u{ef}ve name"),
            ("/%", "%"),
            ("/x%1b[2J", "x[2J"),
        ] {
            assert_eq!(of_url(path), name, "{path}");
        }
    }

    #[test]
    fn of_dispositions() {
        for (field, name) in [
            ("attachment; filename=a.txt", Some("a.txt")),
            (
                "attachment; filename=\"a;b \\\"c\\\".txt\"",
                Some("a;b \"c\".txt"),
            ),
            (
                "attachment; filename=x; filename*=UTF-8''%e2%82%ac.txt",
                Some("\u{20ac}.txt"),
            ),
            (
                "attachment; FileName = \"../../.ssh/config\"",
                Some("config"),
            ),
            ("attachment; filename=\"C:\\\\x\\\\y.exe\"", Some("y.exe")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"-rf\"", Some("rf")),
            ("attachment", None),
            ("inline; name=x", None),
        ] {
            assert_eq!(of_disposition(field).as_deref(), name, "{field}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(
            numbered(Path::new("d/a.tar.gz"), 2),
            Path::new("d/a.tar-2.gz")
        );
        assert_eq!(numbered(Path::new("a"), 1), Path::new("a-1"));
    }

    proptest! {
        #[test]
        fn nothing_leads_out(field in ".{0,40}", name in ".{0,300}") {
            let said = of_disposition(&format!("attachment; filename=\"{name}\"; filename*=UTF-8''{field}"));
            for name in [Some(of_url(&field)), of_disposition(&field), said].into_iter().flatten() {
                prop_assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty());
                prop_assert!(name.len() <= BYTES_MAX && !name.contains('\0'));
            }
        }
    }
}
