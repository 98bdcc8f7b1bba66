//! Who may do what with which records: the whole table.

use serde_json::{Value, json};

use crate::{Ask, Stage, ask, get, post};

/// Answers to: reading a record of Ada's, listing, creating, replacing, changing, deleting it.
type Row = [u16; 6];

async fn row(stage: &Stage, token: Option<&str>, collection: &str) -> Row {
    let by = |asked: Ask| match token {
        Some(token) => asked.by(token),
        None => asked,
    };
    let one = format!("/records/{collection}/adas");
    let all = format!("/records/{collection}");
    let mut answers = Vec::new();
    for asked in [
        get(&one),
        get(&all),
        post(&all).json(json!({})),
        ask("PUT", &one).json(json!({"n": 1})),
        ask("PATCH", &one).json(json!({"n": 2})),
        ask("DELETE", &one),
    ] {
        answers.push(stage.ask(by(asked)).await.status.as_u16());
    }
    answers.try_into().expect("six")
}

#[tokio::test]
async fn the_table() {
    let stage = Stage::new();
    let root = stage.user("grace", &["admin"]).await;
    let ada = stage.user("ada", &[]).await;
    let eve = stage.user("eve", &[]).await;
    let editor = stage.user("edith", &["editor"]).await;
    let access = |read: &[&str], create: &[&str], change: &[&str]| json!({"access": {"read": read, "create": create, "update": change, "delete": change}});
    let ok = [200, 200, 201, 200, 200, 204];
    let cases: [(&str, Option<Value>, [Row; 5]); 5] = [
        // In the order of: nobody, Eve, the editor, Ada, the admin.
        (
            "defaults",
            None,
            [
                [200, 200, 401, 401, 401, 401],
                [200, 200, 201, 403, 403, 403],
                [200, 200, 201, 403, 403, 403],
                ok,
                ok,
            ],
        ),
        (
            "open",
            Some(access(&["anyone"], &["anyone"], &["anyone"])),
            [ok, ok, ok, ok, ok],
        ),
        (
            "private",
            Some(access(&["owner"], &["login"], &["owner"])),
            [
                [401; 6],
                [404, 200, 201, 404, 404, 404],
                [404, 200, 201, 404, 404, 404],
                ok,
                [404, 200, 201, 404, 404, 404],
            ],
        ),
        (
            "edited",
            Some(access(&["login"], &["editor"], &["editor"])),
            [
                [401; 6],
                [200, 200, 403, 403, 403, 403],
                ok,
                [200, 200, 403, 403, 403, 403],
                [200, 200, 403, 403, 403, 403],
            ],
        ),
        (
            "closed",
            Some(access(&[], &[], &[])),
            [[401; 6], [403; 6], [403; 6], [403; 6], [403; 6]],
        ),
    ];
    for (name, rules, rows) in cases {
        let all = [None, Some(&eve), Some(&editor), Some(&ada), Some(&root)];
        for (token, expected) in all.iter().zip(rows) {
            // Ada's record is there each time, whatever the rules are then.
            stage
                .ask(ask("DELETE", &format!("/collections/{name}")).by(&root))
                .await
                .expect(204);
            stage
                .ask(
                    ask("PUT", &format!("/records/{name}/adas"))
                        .by(&ada)
                        .json(json!({})),
                )
                .await;
            if let Some(rules) = &rules {
                stage
                    .ask(
                        ask("PUT", &format!("/collections/{name}"))
                            .by(&root)
                            .json(rules.clone()),
                    )
                    .await
                    .expect(200);
            }
            assert_eq!(
                row(&stage, token.map(String::as_str), name).await,
                expected,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn who_reads_their_own_sees_those_only() {
    let stage = Stage::new();
    let root = stage.user("grace", &["admin"]).await;
    let (ada, eve) = (stage.user("ada", &[]).await, stage.user("eve", &[]).await);
    let rules = json!({"access": {"read": ["owner", "admin"]}});
    stage
        .ask(ask("PUT", "/collections/notes").by(&root).json(rules))
        .await
        .expect(200);
    for (token, n) in [(&ada, 1), (&eve, 2), (&ada, 3)] {
        stage
            .ask(post("/records/notes").by(token).json(json!({"n": n})))
            .await
            .expect(201);
    }
    for (token, expected) in [(&ada, vec![1, 3]), (&eve, vec![2]), (&root, vec![1, 2, 3])] {
        for target in ["/records/notes?sort=n", "/records/notes"] {
            let answer = stage.ask(get(target).by(token)).await.expect(200);
            let records = answer.json["records"].as_array().expect("records");
            let seen: Vec<_> = records.iter().filter_map(|r| r["n"].as_i64()).collect();
            assert_eq!(seen, expected);
        }
        let target = format!("/records/notes/changes?after=0&limit={}", expected.len());
        let answer = stage.ask(get(&target).by(token)).await.expect(200);
        assert_eq!(
            answer.text.matches("event: created").count(),
            expected.len()
        );
    }
    stage.get("/records/notes/changes").await.expect(401);
    assert_eq!(
        stage.get("/collections").await.json["collections"],
        json!([])
    );
}

#[tokio::test]
async fn what_nobody_made_belongs_to_nobody() {
    let stage = Stage::new();
    let root = stage.user("grace", &["admin"]).await;
    let ada = stage.user("ada", &[]).await;
    let rules = json!({"access": {"create": ["anyone"]}});
    stage
        .ask(ask("PUT", "/collections/guests").by(&root).json(rules))
        .await
        .expect(200);
    let made = stage
        .post("/records/guests", json!({"said": "hello"}))
        .await
        .expect(201);
    assert_eq!(made.json["_owner"], Value::Null);
    let place = made.field("location");
    stage.ask(ask("DELETE", place)).await.expect(401);
    stage.ask(ask("DELETE", place).by(&ada)).await.expect(403);
    stage.ask(ask("DELETE", place).by(&root)).await.expect(204);
}
