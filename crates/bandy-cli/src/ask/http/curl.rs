//! `--curl`: the command that asks the same.

use bandy::http::client::Version;
use bandy::http::{HeaderName, Method, header};
use bandy::net::ca;

use super::build::{ENCODINGS, Question, wants_body};
use super::content::{Content, Piece};
use super::form::Part;
use super::url;
use crate::ask::AskArgs;

/// The command, quoted for a shell.
pub fn command(question: &Question, cookies: Option<&str>, args: &AskArgs) -> String {
    let mut words: Vec<String> = vec!["curl".to_owned()];
    let mut say = |option: &str, values: &[&str]| {
        words.push(option.to_owned());
        words.extend(values.iter().map(|value| quoted(value)));
    };
    let options = &args.http;
    let is_secure = question.url.scheme().is_secure();
    match options.http {
        Some(Version::Http1) => say("--http1.1", &[]),
        Some(Version::Http2) if is_secure => say("--http2", &[]),
        Some(Version::Http2) => say("--http2-prior-knowledge", &[]),
        None => {}
    }
    if options.verbose {
        say("-v", &[]);
    }
    if options.follow {
        say("-L", &[]);
        say("--max-redirs", &["10"]);
    }
    if options.download {
        match options.output.as_ref().map(|path| path.to_string_lossy()) {
            Some(path) => say("-o", &[&path]),
            None => say("-OJ", &[]),
        }
    }
    if is_secure {
        tls(&mut say, question, args);
    }
    method(&mut say, question, options.head);
    if let Some(auth) = &options.auth {
        say("-u", &[auth]);
    }
    if let Some(cookies) = cookies {
        say("-b", &[cookies]);
    }
    fields(&mut say, question, options.auth.is_some());
    body(&mut say, question);
    let (scheme, target) = (question.url.scheme(), question.url.target());
    let url = format!("{scheme}://{}{target}", url::authority(&question.url));
    if url.contains(['[', ']', '{', '}']) {
        say("-g", &[]);
    }
    if url::path(&question.url).contains("/.") {
        say("--path-as-is", &[]);
    }
    words.push(quoted(&url));
    words.join(" ")
}

fn tls(say: &mut impl FnMut(&str, &[&str]), question: &Question, args: &AskArgs) {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    if args.insecure {
        say("-k", &[]);
    } else if let Some(ca) = &args.ca {
        say("--cacert", &[&path(ca)]);
    } else if url::is_here(&question.url)
        && let Ok(ca) = ca::LocalCa::open()
    {
        say("--cacert", &[&path(&ca.path())]);
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        say("--cert", &[&path(cert)]);
        say("--key", &[&path(key)]);
    }
}

fn method(say: &mut impl FnMut(&str, &[&str]), question: &Question, head_only: bool) {
    let has_body = question.content.is_some();
    match question.method {
        Method::HEAD => say("--head", &[]),
        Method::GET if !has_body => {}
        Method::POST => {}
        ref method => say("-X", &[method.as_str()]),
    }
    if head_only {
        // Its head, and no body.
        say("-sS", &[]);
        say("-D", &["-"]);
        say("-o", &["/dev/null"]);
    }
}

fn fields(say: &mut impl FnMut(&str, &[&str]), question: &Question, has_user: bool) {
    let own = |name: &HeaderName| question.own.iter().any(|(known, _)| known == name);
    let is_form = question.form.is_some();
    for (name, value) in question.fields(None) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let is_curls_own = match name {
            header::HOST | header::USER_AGENT => !own(&name),
            header::ACCEPT => value == "*/*",
            header::CONTENT_LENGTH => true,
            header::AUTHORIZATION => has_user && !own(&name),
            header::CONTENT_TYPE => is_form && !own(&name),
            header::TRANSFER_ENCODING => !own(&name),
            _ => false,
        };
        if is_curls_own {
            continue;
        }
        match name == header::ACCEPT_ENCODING && value == ENCODINGS {
            true => say("--compressed", &[]),
            false if value.is_empty() => say("-H", &[&format!("{};", title(&name))]),
            false => say("-H", &[&format!("{}: {value}", title(&name))]),
        }
    }
    let removed = question.own.iter().filter(|(_, value)| value.is_none());
    for (name, _) in removed {
        say("-H", &[&format!("{}:", title(name))]);
    }
    // curl calls any data a form unless told otherwise.
    let is_said = |(name, _): &(HeaderName, _)| *name == header::CONTENT_TYPE;
    let has_kind = question.kind.is_some() || question.own.iter().any(is_said);
    if question.content.is_some() && !has_kind && !is_form {
        say("-H", &["Content-Type:"]);
    }
}

fn body(say: &mut impl FnMut(&str, &[&str]), question: &Question) {
    if let Some(parts) = &question.form {
        for part in parts {
            match part {
                Part::Text(name, text) => say("--form-string", &[&format!("{name}={text}")]),
                Part::File { name, path, kind } => {
                    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
                    say("-F", &[&format!("{name}=@\"{path}\";type={kind}")]);
                }
            }
        }
        return;
    }
    match &question.content {
        // curl says that a body is empty only where it is told to send one.
        Content::Nothing if wants_body(&question.method) => {
            say("--data-raw", &[""]);
            say("-H", &["Content-Type:"]);
        }
        Content::Nothing => {}
        Content::Once(_) => say("--data-binary", &["@-"]),
        Content::Pieces(pieces) => match pieces.as_slice() {
            [Piece::File { name, .. }] => say("--data-binary", &[&format!("@{name}")]),
            pieces => {
                let bytes: Vec<u8> = pieces.iter().flat_map(Piece::known).collect();
                say("--data-raw", &[&String::from_utf8_lossy(&bytes)]);
            }
        },
    }
}

fn title(name: &HeaderName) -> String {
    let mut begins = true;
    let chars = name.as_str().chars().map(|c| {
        let c = if begins { c.to_ascii_uppercase() } else { c };
        begins = !c.is_ascii_alphanumeric();
        c
    });
    chars.collect()
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_gives_it_back() {
        for word in [
            "", "plain", "a b", "it's", "$HOME", "`x`", "\"q\"", "a\nb", "*", "~", "!x", "ä",
        ] {
            let out = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .expect("sh");
            assert_eq!(String::from_utf8_lossy(&out.stdout), word);
        }
    }
}
