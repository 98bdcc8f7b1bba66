//! Conversations at the gate.

use super::*;
use crate::error::{Error, Kind, Side};
use crate::http::login::Who;

struct Cookies;

impl Authority for Cookies {
    fn who<'a>(&'a self, request: &'a Request) -> Who<'a> {
        let cookie = request.headers().get(header::COOKIE);
        let user = cookie.and_then(|c| c.to_str().ok()).map(str::to_owned);
        Box::pin(async move {
            Ok(match user.as_deref() {
                Some("root") => Some(Login::new("root").roles(["admin"])),
                Some("broken") => return Err(Error::new(Kind::Io, Side::Local, "asking")),
                Some(user) => Some(Login::new(user)),
                None => None,
            })
        })
    }
}

fn request(fields: &[(&str, &str)]) -> Request {
    let mut request = ::http::Request::builder().uri("/a?b=c");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a request")
}

/// Who was let in, or what the others heard.
async fn said(gate: &Gate, fields: &[(&str, &str)]) -> String {
    let mut request = request(fields);
    match gate.login(&mut request).await {
        Err(e) => format!("failed: {e}"),
        Ok(None) => Login::of(&request).map_or("anybody".to_owned(), |login| login.user.clone()),
        Ok(Some(response)) => {
            let field = |name| response.headers().get_all(name).iter();
            let fields = field(header::WWW_AUTHENTICATE).chain(field(header::LOCATION));
            let words: Vec<&str> = fields.filter_map(|v| v.to_str().ok()).collect();
            let said = format!("{} {}", response.status().as_u16(), words.join(", "));
            said.trim_end().to_owned()
        }
    }
}

fn user(name: &str, secret: &str) -> User {
    User {
        name: name.to_owned(),
        secret: Secret::new(secret),
    }
}

const ADA: (&str, &str) = ("authorization", "Basic YWRhOm9uZQ==");

#[tokio::test]
async fn anybody_where_nothing_is_asked() {
    let gate = Gate::new(Access::default(), Some(Arc::new(Cookies)));
    assert_eq!(said(&gate, &[]).await, "anybody");
    // Nobody looks at credentials that no rule asks for.
    assert_eq!(said(&gate, &[ADA, ("cookie", "broken")]).await, "anybody");
}

#[tokio::test]
async fn any_of_the_ways_will_do() {
    let access = Access {
        users: vec![user("ada", "one")],
        tokens: vec![user("ci", "t0")],
        login: Some(Rule::default()),
        ..Access::default()
    };
    let gate = Gate::new(access, Some(Arc::new(Cookies)));
    let both = "401 Basic realm=\"bandy\", charset=\"UTF-8\", Bearer realm=\"bandy\"";
    for (fields, expected) in [
        (&[ADA][..], "ada"),
        (&[("authorization", "Bearer t0")], "ci"),
        (&[("cookie", "eve")], "eve"),
        (&[], both),
        (&[("authorization", "Basic YWRhOnR3bw==")], both),
        (&[("authorization", "Bearer one")], both),
        (&[("cookie", "broken")], "failed: asking"),
    ] {
        assert_eq!(said(&gate, fields).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn a_missing_role_is_not_a_missing_login() {
    let access = Access {
        login: Some(Rule {
            roles: vec!["admin".to_owned(), "editor".to_owned()],
            page: Some("/login".to_owned()),
        }),
        ..Access::default()
    };
    let gate = Gate::new(access, Some(Arc::new(Cookies)));
    let page = ("accept", "text/html,*/*;q=0.8");
    assert_eq!(said(&gate, &[("cookie", "root")]).await, "root");
    assert_eq!(said(&gate, &[("cookie", "eve"), page]).await, "403");
    assert_eq!(said(&gate, &[]).await, "401 Bearer realm=\"bandy\"");
    assert_eq!(
        said(&gate, &[page]).await,
        "303 /login?next=/a%3Fb%3Dc",
        "a person is sent to log in"
    );
}

#[tokio::test]
async fn without_an_authority_nobody_is_known() {
    let access = Access {
        login: Some(Rule::default()),
        ..Access::default()
    };
    let gate = Gate::new(access, None);
    assert_eq!(
        said(&gate, &[("cookie", "root")]).await,
        "401 Bearer realm=\"bandy\""
    );
}

#[tokio::test]
async fn without_tls_there_is_no_certificate() {
    let access = Access {
        certificates: Some(Certificates::default()),
        ..Access::default()
    };
    assert_eq!(said(&Gate::new(access, None), &[]).await, "403");
}
