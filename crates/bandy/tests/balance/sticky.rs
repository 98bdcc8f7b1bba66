//! Cookies by which a client stays with its backend.

use bandy::pool::options::Sticky;
use bandy::services::balance::http::Secret;

use super::*;

fn stuck(fars: &[Far; 2], rules: Rules) -> (Stage, Running) {
    let stage = Stage::new();
    let mut options = pool(fars);
    options.sticky = Some(Sticky {
        cookie: "stay".to_owned(),
    });
    let (server, _) = balancer(&stage, options, rules);
    (stage, server)
}

fn with(cookie: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: other=1; {cookie}\r\n\r\n")
}

#[test]
fn a_client_stays_where_its_cookie_says() {
    let fars = [Far::new(), Far::new()];
    let (_stage, server) = stuck(&fars, Rules::default());
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut one = fars[0].accept();
    one.serve("one");
    let (head, _) = client.hear();
    let cookie = field(&head, "set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("stay=") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    assert!(
        !cookie.contains("127"),
        "it tells where the backend is: {cookie}"
    );
    let cookie = cookie.split(';').next().expect("its first part").to_owned();
    for _ in 0..3 {
        client.say(with(&cookie));
        one.serve("again");
        let (head, _) = client.hear();
        assert_eq!(field(&head, "set-cookie"), None);
    }
    // What is not ours says nothing.
    let last = cookie.chars().last().expect("not empty");
    let other = if last == '0' { '1' } else { '0' };
    let forged = format!("{}{other}", &cookie[..cookie.len() - 1]);
    for wrong in [&forged, "stay=", "stay=x", "stay=0123456789abcdef"] {
        let mut other = Raw::to(&server);
        other.say(with(wrong));
        let mut backend = fars[1].accept();
        backend.serve("two");
        assert!(field(&other.hear().0, "set-cookie").is_some(), "{wrong}");
        let mut other = Raw::to(&server);
        other.say(GET);
        fars[0].accept_or(&mut one).serve("one");
        other.hear();
    }
}

impl Far {
    /// The next connection that comes, or this one if a request comes on it.
    fn accept_or<'a>(&self, kept: &'a mut Raw) -> &'a mut Raw {
        self.0
            .set_nonblocking(true)
            .expect("a socket takes options");
        bandy_testkit::eventually("a request", || {
            let socket = kept.0.get_ref();
            socket
                .set_nonblocking(true)
                .expect("a socket takes options");
            let is_here = socket.peek(&mut [0]).is_ok();
            socket
                .set_nonblocking(false)
                .expect("a socket takes options");
            if is_here {
                return Ok::<(), String>(());
            }
            let (stream, _) = self.0.accept().map_err(|e| e.to_string())?;
            stream.set_nonblocking(false).map_err(|e| e.to_string())?;
            stream
                .set_read_timeout(Some(PATIENCE))
                .map_err(|e| e.to_string())?;
            *kept = Raw(BufReader::new(stream));
            Ok(())
        });
        self.0
            .set_nonblocking(false)
            .expect("a socket takes options");
        kept
    }
}

#[test]
fn balancers_with_one_secret_know_each_others_cookies() {
    let fars = [Far::new(), Far::new()];
    let rules = || Rules {
        secret: Secret::of(b"a secret of both"),
        ..Rules::default()
    };
    let (_one, first) = stuck(&fars, rules());
    let mut client = Raw::to(&first);
    client.say(GET);
    fars[0].accept().serve("");
    let (head, _) = client.hear();
    let cookie = field(&head, "set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = with(cookie.expect("a cookie"));
    let (_two, second) = stuck(&fars, rules());
    let mut client = Raw::to(&second);
    for _ in 0..2 {
        client.say(&cookie);
        fars[0].accept().serve("");
        assert_eq!(field(&client.hear().0, "set-cookie"), None);
        client = Raw::to(&second);
    }
}
