//! Accounts as whoever uses them sees them, with a clock that can be put forward.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::*;
use crate::error::{Error, Kind, Side};
use crate::state;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Hashes that cost next to nothing, as tests make many.
fn cheap() -> Options {
    Options {
        cost: Cost {
            memory_kib: 64,
            passes: 1,
            ..Cost::default()
        },
        ..Options::default()
    }
}

fn accounts() -> Accounts {
    with(cheap())
}

fn with(options: Options) -> Accounts {
    let store = state::open("memory:").expect("a store");
    Accounts::open(store, options).expect("accounts")
}

/// The same store seen by another process: nothing is shared but the store.
fn beside(accounts: &Accounts) -> Accounts {
    Accounts::open(accounts.0.store.clone(), accounts.0.options.clone()).expect("accounts")
}

impl Accounts {
    fn forward(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).expect("not that far");
        self.0.clock.ahead.fetch_add(by, Ordering::SeqCst);
    }
}

fn ada() -> Credentials {
    Credentials::new("ada", "correct horse")
}

async fn token(accounts: &Accounts, credentials: Credentials) -> Token {
    match accounts.login(credentials, None).await {
        Ok(Admission::Granted(grant)) => grant.token,
        other => panic!("not let in: {other:?}"),
    }
}

async fn is_in(accounts: &Accounts, token: &Token) -> bool {
    let session = accounts.who(token.expose()).await.expect("an answer");
    session.is_some()
}

fn profile(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[tokio::test]
async fn registering_once_in_any_case() -> Result<()> {
    let accounts = accounts();
    let user = accounts
        .register(Credentials::new("Ada", "correct horse"), None)
        .await?
        .expect("registered");
    assert_eq!((user.name.as_str(), user.roles.len()), ("Ada", 0));
    let cases = [
        ("ADA", "another horse", Refused::NameTaken, Some("name")),
        (
            "a b",
            "correct horse",
            Refused::Name(NameFault::Character(' ')),
            Some("name"),
        ),
        (
            "Admin",
            "correct horse",
            Refused::Name(NameFault::Reserved),
            Some("name"),
        ),
        (
            "grace",
            "short",
            Refused::PasswordShort(8),
            Some("password"),
        ),
    ];
    for (name, password, refused, field) in cases {
        let answer = accounts
            .register(Credentials::new(name, password), None)
            .await?;
        assert_eq!(answer, Err(refused.clone()));
        assert_eq!(refused.field(), field);
    }
    assert!(accounts.user("aDA").await?.is_some());
    assert!(accounts.user("../ada").await?.is_none());

    let closed = with(Options {
        registration: false,
        ..cheap()
    });
    assert_eq!(closed.register(ada(), None).await?, Err(Refused::Closed));
    closed
        .add(
            Credentials::new("admin", "correct horse"),
            vec!["admin".into()],
        )
        .await?
        .expect("operators may");
    Ok(())
}

#[tokio::test]
async fn one_of_two_who_register_at_once() -> Result<()> {
    let accounts = accounts();
    let (one, two) = tokio::join!(
        accounts.register(ada(), None),
        accounts.register(ada(), None)
    );
    assert!(one?.is_ok() != two?.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_user_as_json_has_no_secrets() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let user = accounts
        .update_profile("ada", None, profile(json!({ "city": "London" })))
        .await?
        .expect("updated");
    let shown = serde_json::to_value(&user).expect("JSON");
    let keys: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "name", "roles", "disabled", "created", "profile", "revision"
        ]
    );
    let created = shown["created"].as_str().expect("text");
    assert!(created.len() == 20 && created.ends_with('Z'), "{created}");
    assert_eq!(shown["profile"], json!({ "city": "London" }));
    assert!(!format!("{user:?} {accounts:?}").contains("argon2"));
    Ok(())
}

#[tokio::test]
async fn logging_in_and_out() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    for (name, password) in [
        ("ada", "wrong horse"),
        ("grace", "correct horse"),
        ("a/b", "correct horse"),
        ("", ""),
    ] {
        let answer = accounts
            .login(Credentials::new(name, password), None)
            .await?;
        assert!(matches!(answer, Admission::Wrong), "{name}");
    }
    let (one, two) = (token(&accounts, ada()).await, token(&accounts, ada()).await);
    assert_ne!(one, two, "each login has a token of its own");
    accounts.logout(one.expose()).await?;
    accounts.logout(one.expose()).await?;
    assert!(!is_in(&accounts, &one).await && is_in(&accounts, &two).await);
    accounts.logout_all("ADA").await?.expect("a user");
    assert!(!is_in(&accounts, &two).await);
    for no_token in ["", "x", &"x".repeat(43), "/../../accounts/user/ada"] {
        assert!(accounts.who(no_token).await?.is_none());
        accounts.logout(no_token).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_store_has_no_token_and_no_password() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let token = token(&accounts, ada()).await;
    let all = accounts.0.store.list("", None, 1000).await?;
    assert_eq!(all.len(), 3, "a user, a session, its mark");
    for record in all {
        let text = format!("{} {:?}", record.key, record.value);
        assert!(
            !text.contains(token.expose()) && !text.contains("horse"),
            "{text}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn sessions_end_by_themselves() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let unused = token(&accounts, ada()).await;
    let used = token(&accounts, ada()).await;
    for _ in 0..29 {
        accounts.forward(DAY);
        assert!(is_in(&accounts, &used).await, "in use");
    }
    assert!(!is_in(&accounts, &unused).await, "unused for a week");
    // Also out of memory, at the very moment.
    accounts.forward(DAY - Duration::from_millis(500));
    assert!(is_in(&accounts, &used).await);
    accounts.forward(Duration::from_millis(501));
    assert!(!is_in(&accounts, &used).await, "a month is over");

    assert_eq!(accounts.sweep().await?, 2);
    assert_eq!(
        accounts.0.store.list("accounts/session", None, 10).await?,
        []
    );
    Ok(())
}

#[tokio::test]
async fn the_last_use_is_noted_once_an_hour() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let token = token(&accounts, ada()).await;
    let revision = async || {
        let sessions = accounts.0.store.list("accounts/session/", None, 10).await;
        sessions
            .expect("an answer")
            .first()
            .map(|record| record.revision)
    };
    let first = revision().await;
    for _ in 0..10 {
        accounts.forward(HOUR / 12);
        assert!(is_in(&accounts, &token).await);
    }
    assert_eq!(revision().await, first);
    accounts.forward(HOUR / 4);
    assert!(is_in(&accounts, &token).await);
    assert_ne!(revision().await, first);
    Ok(())
}

#[tokio::test]
async fn what_a_change_does_to_sessions_it_does_at_once() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");

    let session = token(&accounts, ada()).await;
    let roles = async |token: &Token| {
        let session = accounts.who(token.expose()).await.expect("an answer");
        session.map(|session| session.user.roles.clone())
    };
    assert_eq!(roles(&session).await, Some(vec![]));
    accounts
        .set_roles("ada", vec!["admin".into(), "admin".into()])
        .await?
        .expect("set");
    assert_eq!(roles(&session).await, Some(vec!["admin".to_owned()]));
    accounts
        .change_roles("ada", vec!["editor".into()], &["admin".to_owned()])
        .await?
        .expect("changed");
    assert_eq!(roles(&session).await, Some(vec!["editor".to_owned()]));

    accounts.set_disabled("ada", true).await?.expect("disabled");
    assert_eq!(roles(&session).await, None);
    let answer = accounts.login(ada(), None).await?;
    assert!(
        matches!(answer, Admission::Wrong),
        "disabled looks like a wrong password"
    );
    accounts.set_disabled("ada", false).await?.expect("enabled");
    assert_eq!(roles(&session).await, None, "what was ended stays ended");

    let session = token(&accounts, ada()).await;
    accounts
        .set_password("ada", "another horse".into())
        .await?
        .expect("set");
    assert_eq!(roles(&session).await, None);
    assert!(matches!(
        accounts.login(ada(), None).await?,
        Admission::Wrong
    ));

    let another = || Credentials::new("ada", "another horse");
    let session = token(&accounts, another()).await;
    assert!(is_in(&accounts, &session).await);
    accounts.remove("ada").await?.expect("removed");
    assert_eq!(roles(&session).await, None);
    // What ada left behind must not become a stranger's; an operator may say whose it is.
    assert_eq!(
        accounts.register(another(), None).await?,
        Err(Refused::NameTaken)
    );
    let anew = accounts.add(another(), Vec::new()).await?;
    anew.expect("added anew");
    assert_eq!(roles(&session).await, None, "another user of the same name");
    assert_eq!(accounts.remove("grace").await?, Err(Refused::NoSuchUser));
    Ok(())
}

#[tokio::test]
async fn an_address_makes_so_many_accounts_and_others_are_not_held_by_it() -> Result<()> {
    let bucket = Bucket {
        burst: 2,
        every: Duration::from_secs(60),
    };
    let accounts = with(Options {
        attempts: AttemptLimits {
            registration: bucket,
            ..AttemptLimits::default()
        },
        ..cheap()
    });
    let new = |name: &str| Credentials::new(name, "correct horse");
    let here = Some(IpAddr::from([192, 0, 2, 1]));
    accounts.register(new("ada"), here).await?.expect("first");
    let taken = accounts.register(new("Ada"), here).await?;
    assert_eq!(taken, Err(Refused::NameTaken), "and it does not count");
    accounts.register(new("bob"), here).await?.expect("second");
    let third = accounts.register(new("cid"), here).await?;
    assert!(matches!(third, Err(Refused::TooMany(wait)) if wait <= bucket.every));
    let there = Some(IpAddr::from([192, 0, 2, 2]));
    let user = accounts.register(new("cid"), there).await?;
    user.expect("from elsewhere");
    Ok(())
}

#[tokio::test]
async fn what_another_process_changes_is_seen_soon() -> Result<()> {
    let server = accounts();
    let operator = beside(&server);
    operator.add(ada(), Vec::new()).await?.expect("added");
    let session = token(&server, ada()).await;
    assert!(is_in(&server, &session).await);
    operator.set_disabled("ada", true).await?.expect("disabled");
    server.forward(server.options().stale);
    assert!(!is_in(&server, &session).await);
    Ok(())
}

#[tokio::test]
async fn a_remembered_session_asks_the_store_nothing() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let session = token(&accounts, ada()).await;
    assert!(is_in(&accounts, &session).await);
    accounts.0.store.close().await?;
    assert!(is_in(&accounts, &session).await);
    accounts.forward(accounts.options().stale);
    let error = accounts
        .who(session.expose())
        .await
        .expect_err("the store is closed");
    assert_eq!(error.kind(), Kind::Closed);
    Ok(())
}

#[tokio::test]
async fn the_oldest_session_makes_room() -> Result<()> {
    let accounts = with(Options {
        sessions: 3,
        ..cheap()
    });
    accounts.register(ada(), None).await?.expect("registered");
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(token(&accounts, ada()).await);
        assert!(is_in(&accounts, tokens.last().expect("one")).await);
        accounts.forward(Duration::from_secs(1));
    }
    let mut left = Vec::new();
    for token in &tokens {
        left.push(is_in(&accounts, token).await);
    }
    assert_eq!(left, [false, false, true, true, true]);
    assert_eq!(
        accounts
            .0
            .store
            .list("accounts/session", None, 100)
            .await?
            .len(),
        6
    );
    Ok(())
}

#[tokio::test]
async fn attempts_are_limited_whether_there_is_such_a_user_or_not() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let from = Some("192.0.2.7".parse().expect("an address"));
    for name in ["ada", "nobody-at-all"] {
        let wrong = || Credentials::new(name, "wrong horse");
        for _ in 0..5 {
            let answer = accounts.login(wrong(), from).await?;
            assert!(matches!(answer, Admission::Wrong));
        }
        let Admission::TooMany { retry_after } = accounts.login(wrong(), from).await? else {
            panic!("a sixth attempt");
        };
        assert!(retry_after > Duration::from_secs(25), "{retry_after:?}");
    }
    // Also with the right password, and in another case; from elsewhere the owner gets in.
    let shouted = Credentials::new("ADA", "correct horse");
    assert!(matches!(
        accounts.login(shouted, from).await?,
        Admission::TooMany { .. }
    ));
    let elsewhere = Some("192.0.2.8".parse().expect("an address"));
    assert!(matches!(
        accounts.login(ada(), elsewhere).await?,
        Admission::Granted(_)
    ));
    accounts.forward(Duration::from_secs(30));
    assert!(matches!(
        accounts.login(ada(), from).await?,
        Admission::Granted(_)
    ));
    Ok(())
}

#[tokio::test]
async fn what_failed_of_our_own_fault_is_no_attempt() -> Result<()> {
    let accounts = accounts();
    accounts.0.store.close().await?;
    for _ in 0..50 {
        assert!(accounts.login(ada(), None).await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_password_can_be_checked_without_a_session() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let checked = accounts.check(ada(), None).await?;
    assert!(matches!(checked, Admission::Granted(user) if user.name == "ada"));
    assert_eq!(
        accounts.0.store.list("accounts/session", None, 10).await?,
        []
    );
    for _ in 0..5 {
        let wrong = Credentials::new("ada", "wrong horse");
        assert!(matches!(
            accounts.check(wrong, None).await?,
            Admission::Wrong
        ));
    }
    let limited = accounts.login(ada(), None).await?;
    assert!(
        matches!(limited, Admission::TooMany { .. }),
        "both are counted together"
    );
    Ok(())
}

#[tokio::test]
async fn a_hash_of_another_cost_is_replaced_at_login() -> Result<()> {
    let before = accounts();
    before.register(ada(), None).await?.expect("registered");
    let dearer = Options {
        cost: Cost {
            passes: 3,
            ..cheap().cost
        },
        ..cheap()
    };
    let after = Accounts::open(before.0.store.clone(), dearer)?;
    let session = token(&after, ada()).await;
    assert!(is_in(&after, &session).await);
    let (stored, _) = after.0.stored_user("ada").await?.expect("a user");
    assert!(
        stored.hash.starts_with("$argon2id$v=19$m=64,t=3,p=1$"),
        "{}",
        stored.hash
    );
    token(&after, ada()).await;
    Ok(())
}

#[tokio::test]
async fn profiles_are_changed_by_who_saw_them_last() -> Result<()> {
    let accounts = accounts();
    let user = accounts.register(ada(), None).await?.expect("registered");
    let value = profile(json!({ "a": 1 }));
    let changed = accounts
        .update_profile("ada", Some(user.revision), value.clone())
        .await?
        .expect("as expected");
    assert_ne!(changed.revision, user.revision);
    let late = accounts
        .update_profile("ada", Some(user.revision), Map::new())
        .await?;
    assert_eq!(late, Err(Refused::Changed(changed.revision)));
    let session = token(&accounts, ada()).await;
    let seen = accounts.who(session.expose()).await?.expect("a session");
    assert_eq!(seen.user.profile, value);

    let large = profile(json!({ "text": "x".repeat(20_000) }));
    let answer = accounts.update_profile("ada", None, large).await?;
    assert_eq!(answer, Err(Refused::ProfileLong(16 << 10)));
    let answer = accounts.update_profile("grace", None, Map::new()).await?;
    assert_eq!(answer, Err(Refused::NoSuchUser));
    Ok(())
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_done() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let changes = (0..10).map(|n| {
        let accounts = accounts.clone();
        tokio::spawn(async move {
            accounts
                .change_roles("ada", vec![format!("r{n}")], &[])
                .await
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.expect("no panic")?.expect("changed");
    }
    let user = accounts.user("ada").await?.expect("a user");
    assert_eq!(user.roles.len(), 10);
    Ok(())
}

#[test]
fn what_is_no_role() {
    let accounts = accounts();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for role in ["", "a b", "ä", "a\n", &"x".repeat(65)] {
        let roles = vec!["ok".to_owned(), role.to_owned()];
        let answer = runtime.block_on(accounts.set_roles("ada", roles));
        assert_eq!(
            answer.expect("an answer"),
            Err(Refused::Role(role.to_owned()))
        );
    }
}

#[tokio::test]
async fn users_page_by_page() -> Result<()> {
    let accounts = accounts();
    for name in ["b2", "a1", "B1", "c1", "a2"] {
        let roles = if name.ends_with('1') {
            vec!["one".to_owned()]
        } else {
            Vec::new()
        };
        let credentials = Credentials::new(name, "correct horse");
        accounts.add(credentials, roles).await?.expect("added");
    }
    let names = |page: &Page| {
        page.users
            .iter()
            .map(|u| u.name.clone())
            .collect::<Vec<_>>()
    };
    let all = Filter::default();
    let page = accounts.users(None, 2, &all).await?;
    assert_eq!(
        (names(&page), page.next.as_deref()),
        (vec!["a1".into(), "a2".into()], Some("a2"))
    );
    let page = accounts.users(page.next.as_deref(), 2, &all).await?;
    assert_eq!(
        (names(&page), page.next.as_deref()),
        (vec!["B1".into(), "b2".into()], Some("b2"))
    );
    let page = accounts.users(page.next.as_deref(), 2, &all).await?;
    assert_eq!((names(&page), page.next), (vec!["c1".to_owned()], None));
    // A page that is exactly the last has no next one.
    assert_eq!(accounts.users(None, 5, &all).await?.next, None);

    let one = Filter {
        role: Some("one".into()),
        ..Filter::default()
    };
    assert_eq!(
        names(&accounts.users(None, 10, &one).await?),
        ["a1", "B1", "c1"]
    );
    let b = Filter {
        prefix: Some("B".into()),
        ..Filter::default()
    };
    assert_eq!(names(&accounts.users(None, 10, &b).await?), ["B1", "b2"]);
    accounts.set_disabled("a2", true).await?.expect("disabled");
    let disabled = Filter {
        disabled: Some(true),
        ..Filter::default()
    };
    assert_eq!(names(&accounts.users(None, 10, &disabled).await?), ["a2"]);
    Ok(())
}

#[tokio::test]
async fn a_request_is_who_its_token_says() -> Result<()> {
    use crate::http::{Body, Login, header};
    let accounts = accounts();
    accounts
        .add(ada(), vec!["admin".into()])
        .await?
        .expect("added");
    let token = token(&accounts, ada()).await;
    let who = async |name: header::HeaderName, value: String| {
        let request = ::http::Request::builder().header(name, value);
        let request: Request = request.body(Body::empty()).expect("a request");
        Authority::who(&accounts, &request).await
    };
    let login = Some(Login::new("ada").roles(["admin"]));
    let cookie = format!("{}={}", cookie::PLAIN, token.expose());
    assert_eq!(who(header::COOKIE, cookie).await?, login);
    let bearer = format!("Bearer {}", token.expose());
    assert_eq!(who(header::AUTHORIZATION, bearer).await?, login);
    assert_eq!(who(header::AUTHORIZATION, "Bearer x".into()).await?, None);
    assert_eq!(who(header::ACCEPT, "*/*".into()).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_damaged_record_is_a_failure_and_lets_nobody_in() -> Result<()> {
    let accounts = accounts();
    accounts.register(ada(), None).await?.expect("registered");
    let session = token(&accounts, ada()).await;
    let damaged = accounts
        .0
        .store
        .put("accounts/user/ada", "{".into(), state::Expect::Anything);
    damaged.await??;
    let error: Error = accounts.who(session.expose()).await.expect_err("damaged");
    assert_eq!((error.kind(), error.side()), (Kind::Other, Side::Local));
    assert!(accounts.login(ada(), None).await.is_err());
    Ok(())
}

/// What a stopwatch can learn about who has an account: nothing. Both kinds are timed in turns, so that what else the
/// machine does falls on both, and the medians are compared; a few rounds may be unlucky, not all.
#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_known_one() -> Result<()> {
    let accounts = with(Options {
        cost: Cost {
            memory_kib: 2048,
            ..Cost::default()
        },
        attempts: AttemptLimits {
            pair: Bucket {
                burst: u32::MAX,
                every: Duration::from_nanos(1),
            },
            account: Bucket {
                burst: u32::MAX,
                every: Duration::from_nanos(1),
            },
            ..AttemptLimits::default()
        },
        ..cheap()
    });
    accounts.register(ada(), None).await?.expect("registered");
    accounts
        .register(Credentials::new("off", "correct horse"), None)
        .await?
        .expect("registered");
    accounts.set_disabled("off", true).await?.expect("disabled");
    let names = ["ada", "grace", "off"];
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let mut taken = names.map(|_| Vec::new());
        for _ in 0..15 {
            for (name, taken) in names.iter().zip(&mut taken) {
                let began = Instant::now();
                let wrong = Credentials::new(*name, "wrong horse");
                assert!(matches!(
                    accounts.login(wrong, None).await?,
                    Admission::Wrong
                ));
                taken.push(began.elapsed());
            }
        }
        let [known, unknown, disabled] = taken.map(|mut taken| {
            taken.sort();
            taken[taken.len() / 2].as_secs_f64()
        });
        ratios.push((unknown / known, disabled / known));
        let is_close = |ratio: f64| (0.75..1.33).contains(&ratio);
        if is_close(unknown / known) && is_close(disabled / known) {
            return Ok(());
        }
    }
    panic!("a stopwatch can tell: {ratios:?}");
}
