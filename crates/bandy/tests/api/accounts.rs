//! Registering, logging in, profiles, users.

use serde_json::json;

use crate::{Stage, ask, get, post};

#[tokio::test]
async fn from_registering_to_logging_out() {
    let stage = Stage::new();
    let ada = json!({"user": "Ada", "password": "correct horse"});
    let answer = stage.post("/register", ada.clone()).await.expect(201);
    assert_eq!(answer.field("location"), "/users/Ada");
    assert_eq!(
        (&answer.json["user"], &answer.json["roles"]),
        (&json!("Ada"), &json!([]))
    );
    assert!(!answer.text.contains("correct"));
    stage.post("/register", ada.clone()).await.expect(409);

    stage.get("/profile").await.expect(401);
    let form = "user=ada&password=correct+horse";
    let login = post("/login").body("application/x-www-form-urlencoded", form);
    let answer = stage.ask(login).await.expect(200);
    assert_eq!(answer.json["user"], "Ada");
    assert!(
        answer.json["expires"]
            .as_str()
            .expect("a time")
            .ends_with('Z')
    );
    let cookie = answer.field("set-cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a pair");

    let answer = stage
        .ask(get("/profile").field("cookie", cookie))
        .await
        .expect(200);
    assert_eq!(answer.json["user"], "Ada");
    let answer = stage
        .ask(post("/logout").field("cookie", cookie))
        .await
        .expect(204);
    assert!(answer.field("set-cookie").contains("Max-Age=0"));
    let answer = stage
        .ask(get("/profile").field("cookie", cookie))
        .await
        .expect(401);
    assert_eq!(answer.field("www-authenticate"), "Bearer realm=\"bandy\"");
    stage.ask(post("/logout")).await.expect(204);
}

#[tokio::test]
async fn what_no_account_can_be() {
    let stage = Stage::new();
    for (sent, wrong) in [
        (json!({"user": "ada"}), &[""][..]),
        (
            json!({"user": "ada", "password": "tiny123"}),
            &["/password"],
        ),
        (
            json!({"user": "-", "password": "correct horse"}),
            &["/user"],
        ),
        (json!({"user": 1, "password": 2}), &["/user", "/password"]),
        (
            json!({"user": "admin", "password": "correct horse"}),
            &["/user"],
        ),
        (
            json!({"user": "longerthan8", "password": "longerthan8"}),
            &["/password"],
        ),
    ] {
        let answer = stage.post("/register", sent.clone()).await.expect(422);
        assert_eq!(answer.wrong(), wrong, "{sent}");
        // A password is not said back.
        assert!(!answer.text.contains("tiny123"), "{}", answer.text);
    }
    stage
        .ask(post("/register").body("text/plain", "x"))
        .await
        .expect(415);
    stage
        .ask(post("/register").body("application/x-www-form-urlencoded", "user=a&user=b"))
        .await
        .expect(400);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let stage = Stage::new();
    stage.user("ada", &[]).await;
    let guess = json!({"user": "ada", "password": "guess"});
    let mut answer = stage.post("/login", guess.clone()).await.expect(401);
    for _ in 0..200 {
        answer = stage.post("/login", guess.clone()).await;
        if answer.status != 401 {
            break;
        }
    }
    let answer = answer.expect(429);
    assert!(answer.field("retry-after").parse::<u32>().expect("seconds") > 0);
}

#[tokio::test]
async fn profiles_are_patched() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let patch = |value| ask("PATCH", "/profile").by(&ada).json(value);
    let answer = stage
        .ask(patch(json!({"city": "London", "tea": {"milk": true}})))
        .await
        .expect(200);
    let tag = answer.field("etag").to_owned();
    let answer = stage
        .ask(patch(json!({"city": null, "tea": {"sugar": 2}})))
        .await
        .expect(200);
    assert_eq!(
        answer.json["profile"],
        json!({"tea": {"milk": true, "sugar": 2}})
    );
    stage
        .ask(patch(json!({"x": 1})).field("if-match", tag))
        .await
        .expect(412);
    stage.ask(patch(json!([1]))).await.expect(422);
    let answer = stage
        .ask(patch(json!({"x": "x".repeat(20_000)})))
        .await
        .expect(422);
    assert_eq!(answer.wrong(), [""]);
    let answer = stage.ask(get("/profile").by(&ada)).await.expect(200);
    assert_eq!(
        answer.json["profile"],
        json!({"tea": {"milk": true, "sugar": 2}})
    );
}

#[tokio::test]
async fn users_are_for_admins() {
    let stage = Stage::new();
    let root = stage.user("grace", &["admin"]).await;
    let ada = stage.user("ada", &[]).await;
    stage.get("/users").await.expect(401);
    stage.ask(get("/users").by(&ada)).await.expect(403);
    let answer = stage.ask(get("/users?limit=1").by(&root)).await.expect(200);
    assert_eq!(answer.json["users"][0]["user"], "ada");
    let next = answer.json["next"]
        .as_str()
        .expect("another page")
        .to_owned();
    let answer = stage
        .ask(get(&format!("/users?after={next}")).by(&root))
        .await
        .expect(200);
    assert_eq!(answer.json["users"][0]["user"], "grace");
    let answer = stage
        .ask(get("/users?role=admin").by(&root))
        .await
        .expect(200);
    assert_eq!(answer.json["users"].as_array().map(Vec::len), Some(1));
    let answer = stage
        .ask(get("/users?limit=0&disabled=maybe").by(&root))
        .await
        .expect(422);
    assert_eq!(answer.wrong(), ["limit", "disabled"]);
    stage.ask(get("/users/ada").by(&root)).await.expect(200);
    stage.ask(get("/users/nobody2").by(&root)).await.expect(404);

    let patch = |name: &str, value| {
        ask("PATCH", &format!("/users/{name}"))
            .by(&root)
            .json(value)
    };
    let answer = stage
        .ask(patch("ada", json!({"roles": ["editor"]})))
        .await
        .expect(200);
    assert_eq!(answer.json["roles"], json!(["editor"]));
    stage
        .ask(patch("ada", json!({"disabled": true})))
        .await
        .expect(200);
    stage.ask(get("/profile").by(&ada)).await.expect(401);
    stage
        .ask(patch("nobody2", json!({"disabled": true})))
        .await
        .expect(404);
    stage
        .ask(patch("Grace", json!({"disabled": true})))
        .await
        .expect(409);
    stage
        .ask(patch("grace", json!({"roles": []})))
        .await
        .expect(409);
    stage
        .ask(patch("ada", json!({"roles": ["no role"]})))
        .await
        .expect(422);
    stage.ask(patch("ada", json!({}))).await.expect(422);
    stage
        .ask(
            ask("PATCH", "/users/ada")
                .by(&ada)
                .json(json!({"roles": ["admin"]})),
        )
        .await
        .expect(401);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let change = |old: &str| {
        post("/password")
            .by(&ada)
            .json(json!({"old": old, "new": "battery staple"}))
    };
    stage.ask(change("wrong")).await.expect(403);
    stage.ask(change("correct horse")).await.expect(204);
    stage.ask(get("/profile").by(&ada)).await.expect(401);
    stage
        .post(
            "/login",
            json!({"user": "ada", "password": "correct horse"}),
        )
        .await
        .expect(401);
    stage
        .post(
            "/login",
            json!({"user": "ada", "password": "battery staple"}),
        )
        .await
        .expect(200);
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let cookie = format!("bandy_session={ada}");
    for method_and_target in [
        ("POST", "/logout"),
        ("PATCH", "/profile"),
        ("POST", "/records/things"),
        ("POST", "/password"),
    ] {
        let (method, target) = method_and_target;
        let asked = || {
            ask(method, target)
                .field("cookie", &cookie)
                .json(json!({"old": "correct horse", "new": "battery staple"}))
        };
        stage
            .ask(asked().field("sec-fetch-site", "cross-site"))
            .await
            .expect(403);
        let other = asked()
            .field("host", "app.example")
            .field("origin", "https://evil.example");
        stage.ask(other).await.expect(403);
    }
    let proof = json!({"user": "ada", "password": "correct horse"});
    stage
        .ask(
            post("/login")
                .json(proof)
                .field("sec-fetch-site", "cross-site"),
        )
        .await
        .expect(403);
    // It is still there, and works from its own page.
    let own = ask("PATCH", "/profile")
        .field("cookie", &cookie)
        .json(json!({"a": 1}));
    stage
        .ask(own.field("sec-fetch-site", "same-origin"))
        .await
        .expect(200);
}
