//! Scripts as people write them, and what is wrong with some.

use super::*;
use proptest::prelude::*;

fn to() -> Endpoint {
    "http://127.0.0.1:8000".parse().expect("an endpoint")
}

fn script(text: &str) -> Result<Script, WrongScript> {
    Script::parse(text, &to(), &HeaderMap::new())
}

const SESSION: &str = "\
### log in
# @expect 201
# @capture token = json session.token
// @capture sid = cookie sid
POST /login
Content-Type: application/json

{\"user\":
 \"ada\"}

###
GET /items/{{token}}?q={{ sid }} HTTP/1.1
Authorization: Bearer {{token}}
";

fn kept(fields: &[(&str, &str)], body: &str) -> Option<Kept> {
    let mut kept = Kept::default();
    for (name, value) in fields {
        kept.fields
            .push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    kept.take(body.as_bytes());
    Some(kept)
}

#[test]
fn values_go_from_one_answer_to_the_next_request() {
    let script = script(SESSION).unwrap_or_else(|e| panic!("{e}"));
    let mut reader = script.reader(5);
    let login = script.step(&reader).expect("a step");
    let bytes = String::from_utf8_lossy(login.encoded.as_deref().expect("the same each time"));
    assert_eq!(
        bytes,
        "POST /login HTTP/1.1\r\nhost: 127.0.0.1:8000\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"user\":\n \"ada\"}"
            .replace("content-length: 17", &format!("content-length: {}", "{\"user\":\n \"ada\"}".len()))
    );
    let answer = kept(
        &[("Set-Cookie", "a=b"), ("set-cookie", "sid=x y; HttpOnly")],
        "{\"session\": {\"token\": \"t/1\"}}",
    );
    assert_eq!(script.next(&mut reader, Some(201), answer), Ok(true));
    let look = script.step(&reader).expect("a step");
    assert!(look.encoded.is_none());
    let request = look.render(&reader).expect("rendered");
    assert_eq!(request.target, "/items/t/1?q=x%20y");
    assert_eq!(request.fields["authorization"], "Bearer t/1");
    // And from the beginning, with nothing left of it.
    assert_eq!(script.next(&mut reader, Some(200), None), Ok(false));
    assert_eq!((reader.at, reader.values.len()), (0, 0));
}

#[test]
fn what_is_missing_or_unexpected_is_a_failure() {
    let script = script(SESSION).unwrap_or_else(|e| panic!("{e}"));
    for (status, body) in [
        (200, "{\"session\": {\"token\": \"t\"}}"),
        (201, "{\"session\": {}}"),
        (201, "not JSON"),
    ] {
        let mut reader = script.reader(0);
        let answer = kept(&[("set-cookie", "sid=1")], body);
        let failure = script
            .next(&mut reader, Some(status), answer)
            .expect_err(body);
        assert_eq!(failure.cause, Cause::Unexpected);
    }
}

#[test]
fn a_value_cannot_begin_another_request() {
    let text = "# @capture v = body\nGET /\n\n###\nGET /{{v}}\nX: {{v}}\n";
    let script = script(text).unwrap_or_else(|e| panic!("{e}"));
    let mut reader = script.reader(0);
    let answer = kept(&[], "a\r\nEvil: 1");
    assert_eq!(script.next(&mut reader, Some(200), answer), Ok(false));
    let step = script.step(&reader).expect("a step");
    assert_eq!(
        step.render(&reader).expect_err("refused").cause,
        Cause::Unexpected
    );
}

#[test]
fn a_list_begins_anywhere_and_goes_round() {
    let script = script("GET /a\n###\nGET /b\n").unwrap_or_else(|e| panic!("{e}"));
    let mut reader = script.reader(3);
    let target = |reader: &Reader| {
        let step = script.step(reader).expect("a step");
        step.plain.as_ref().expect("plain").target.clone()
    };
    assert_eq!(target(&reader), "/b");
    assert_eq!(script.next(&mut reader, Some(404), None), Ok(false));
    assert_eq!(target(&reader), "/a");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, line) in [
        ("", 1),
        ("\n# nothing\n", 1),
        ("GET\n", 1),
        ("\nGET http://other/\n", 2),
        ("GET /\nno colon\n", 2),
        ("GET /{{token}}\n", 1),
        ("GET /{{token\n", 1),
        ("# @capture x\nGET /\n", 1),
        ("# @capture x = xml a\nGET /\n", 1),
        ("# @expect ok\nGET /\n", 1),
        ("GET /a\n###\n# @capture x = body\n", 3),
    ] {
        let wrong = script(text).expect_err(text);
        assert_eq!(wrong.line, line, "{text}: {wrong}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "(###|GET /|\\{\\{|\\}\\}|# @capture |json |a|:| |=|\n){0,30}") {
        let _ = script(&text);
    }
}
