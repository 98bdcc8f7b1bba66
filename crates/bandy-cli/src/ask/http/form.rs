//! Forms: `application/x-www-form-urlencoded` (WHATWG URL) and `multipart/form-data` (RFC 7578).

use bandy::error::Error;
use bytes::Bytes;

use super::content::{Content, Piece};
use super::{media, url};

/// A form's fields in their order.
#[derive(Debug, Default)]
pub struct Form {
    fields: Vec<(String, Field)>,
}

#[derive(Debug)]
enum Field {
    Text(String),
    File {
        path: String,
        kind: Option<String>,
        piece: Piece,
    },
}

/// A part of a form, as a person would name it.
#[derive(Debug, Clone)]
pub enum Part {
    Text(String, String),
    File {
        name: String,
        path: String,
        kind: String,
    },
}

fn kind_of<'a>(path: &str, said: Option<&'a str>) -> &'a str {
    said.or_else(|| media::of_file(path))
        .unwrap_or("application/octet-stream")
}

impl Form {
    /// A field of text.
    pub fn text(&mut self, name: &str, text: String) {
        self.fields.push((name.to_owned(), Field::Text(text)));
    }

    /// A file.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn file(&mut self, name: &str, path: &str, kind: Option<String>) -> Result<(), Error> {
        let piece = Piece::file(path)?;
        let field = Field::File {
            path: path.to_owned(),
            kind,
            piece,
        };
        self.fields.push((name.to_owned(), field));
        Ok(())
    }

    /// Whether only multipart can carry it.
    pub fn has_files(&self) -> bool {
        let is_file = |(_, field): &(String, Field)| matches!(field, Field::File { .. });
        self.fields.iter().any(is_file)
    }

    /// As a query; files have no place in it.
    pub fn urlencoded(&self) -> String {
        let mut out = String::new();
        for (name, field) in &self.fields {
            if let Field::Text(text) = field {
                if !out.is_empty() {
                    out.push('&');
                }
                url::pair(&mut out, name, text);
            }
        }
        out
    }

    /// What its parts are, for those who tell of it.
    pub fn parts(&self) -> Vec<Part> {
        let part = |(name, field): &(String, Field)| match field {
            Field::Text(text) => Part::Text(name.clone(), text.clone()),
            Field::File { path, kind, .. } => Part::File {
                name: name.clone(),
                path: path.clone(),
                kind: kind_of(path, kind.as_deref()).to_owned(),
            },
        };
        self.fields.iter().map(part).collect()
    }

    /// As parts with this boundary between.
    pub fn multipart(self, boundary: &str) -> Content {
        let mut pieces = Vec::new();
        let mut text = String::new();
        for (name, field) in self.fields {
            text.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
                quoted(&name)
            ));
            match field {
                Field::Text(value) => {
                    text.push_str("\r\n\r\n");
                    text.push_str(&value);
                }
                Field::File { path, kind, piece } => {
                    let kind = kind_of(&path, kind.as_deref());
                    text.push_str(&format!("; filename=\"{}\"\r\n", quoted(base_name(&path))));
                    text.push_str(&format!("Content-Type: {}\r\n\r\n", one_line(kind)));
                    pieces.push(Piece::Bytes(Bytes::from(std::mem::take(&mut text))));
                    pieces.push(piece);
                }
            }
            text.push_str("\r\n");
        }
        text.push_str(&format!("--{boundary}--\r\n"));
        pieces.push(Piece::Bytes(Bytes::from(text)));
        Content::Pieces(pieces)
    }
}

/// The file's own name.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A name between quotation marks, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let mut form = Form::default();
        form.text("a b", "1&2".to_owned());
        form.text("c", String::new());
        assert_eq!(form.urlencoded(), "a+b=1%262&c=");
        let parts = form.multipart("x").shown();
        assert_eq!(
            String::from_utf8_lossy(&parts),
            "--x\r\nContent-Disposition: form-data; name=\"a b\"\r\n\r\n1&2\r\n\
             --x\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n\r\n--x--\r\n"
        );
    }

    #[test]
    fn names_cannot_break_out() {
        let mut form = Form::default();
        form.text("a\"\r\nX: y", "1".to_owned());
        let parts = form.multipart("x").shown();
        assert!(String::from_utf8_lossy(&parts).contains("name=\"a%22%0D%0AX: y\""));
    }
}
