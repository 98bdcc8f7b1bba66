//! The options of the service `files`.

use super::diagnostic::{Diagnostic, Origin};
use super::options::origin_hint;
use super::raw::{Data, Value};
use super::walk::Walk;
use crate::http::HeaderValue;
use crate::printable::printable;
use crate::services::files::Options;

pub(super) const KEYS: [&str; 11] = [
    "root",
    "index",
    "listing",
    "hidden",
    "precompressed",
    "cache",
    "cache_control",
    "upload",
    "upload_max",
    "delete",
    "origins",
];

/// The options, as far as they could be told. A relative folder becomes relative to the configuration's.
pub(super) fn options<'a>(
    walk: &mut Walk<'a>,
    at: &Origin,
    option: impl Fn(&str) -> Option<&'a Value>,
) -> Options {
    let mut options = Options::new("");
    match option("root") {
        Some(value) => {
            let text = walk.text("root", value).unwrap_or(".");
            if text.is_empty() {
                let d = Diagnostic::error(&value.origin, "`root` is empty");
                walk.push(d.help("write a folder's path; `.` is where the configuration is"));
            }
            options.root = walk.config.folder.join(text);
        }
        None => {
            let d = Diagnostic::error(at, "`files` has no folder");
            walk.missing(d.help(match at {
                Origin::Flag(_) => "name one, as in `--root public`",
                _ => "write it as in `service.files = { root = \"public\" }`",
            }));
        }
    }
    if let Some(value) = option("index") {
        let names = walk.texts("index", value);
        for (name, at) in &names {
            if name.is_empty() || name.contains(['/', '\0']) || matches!(*name, "." | "..") {
                let message = format!("`{}` is not the name of a file", printable(name));
                let d = Diagnostic::error(at, message);
                walk.push(d.help("write a name as in `index.html`"));
            }
        }
        options.index = names.into_iter().map(|(name, _)| name.to_owned()).collect();
    }
    for (key, place) in [
        ("listing", &mut options.listing),
        ("hidden", &mut options.hidden),
        ("precompressed", &mut options.precompressed),
        ("upload", &mut options.upload),
        ("delete", &mut options.delete),
    ] {
        if let Some(value) = option(key)
            && let Some(is) = walk.boolean(key, value)
        {
            *place = is;
        }
    }
    if let Some(value) = option("cache") {
        match &value.data {
            Data::Text(text) if text == "none" => options.cache_bytes = 0,
            _ => options.cache_bytes = walk.bytes("cache", value).unwrap_or_default(),
        }
    }
    if let Some(value) = option("cache_control")
        && let Some(text) = walk.text("cache_control", value)
    {
        let is_plain = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !is_plain || HeaderValue::from_str(text).is_err() {
            let message = "`cache_control` has characters that cannot be sent";
            let d = Diagnostic::error(&value.origin, message);
            walk.push(d.help("write it as in `public, max-age=3600`"));
        }
        options.cache_control = Some(text.to_owned());
    }
    if let Some(value) = option("upload_max") {
        if let Some(max) = walk.bytes("upload_max", value) {
            options.upload_bytes = max;
        }
        if !options.upload {
            let message = "`upload_max` has no effect: nothing may be uploaded".to_owned();
            let help = "add `upload = true`, or leave this out";
            walk.no_effect(&value.origin, message, "not used", help);
        }
    }
    if let Some(value) = option("origins") {
        for (text, at) in walk.texts("origins", value) {
            if let Some(help) = origin_hint(text) {
                let message = format!("`{}` is not an origin", printable(text));
                walk.push(Diagnostic::error(at, message).help(help));
            }
            options.origins.push(text.to_ascii_lowercase());
        }
        if !options.upload && !options.delete {
            let message = "`origins` has no effect: nothing may be changed".to_owned();
            let help = "add `upload = true` or `delete = true`, or leave this out";
            walk.no_effect(&value.origin, message, "not used", help);
        }
    }
    options
}
