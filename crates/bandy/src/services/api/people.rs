//! `/register`, `/login`, `/logout`, `/password`, `/profile`, `/users`: accounts, as requests see them.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde_json::{Map, Value, json};

use super::call::{Call, nobody};
use super::condition::{Condition, note_revision};
use super::endpoint::{Does, Endpoint, From, Tag, Takes, Who};
use super::json;
use super::query;
use super::shape::Shape;
use super::stop::{Reply, Stop};
use crate::accounts::cookie::Carried;
use crate::accounts::{Admission, Credentials, Filter, Refused, Secret, User, cookie};
use crate::error::Result;
use crate::http::{Body, HeaderValue, Method, Response, StatusCode, empty, header, typed};

/// The role that may see and change other people's accounts.
const ADMIN: Who = Who::Role("admin");
/// The most users of a page.
const PAGE_MAX: u64 = 1000;
/// How often a change that another one was quicker than is tried again.
const TRIES: usize = 5;

pub(super) fn endpoints() -> Result<Vec<Endpoint>> {
    let user = json!({"$ref": "#/components/schemas/User"});
    let ada = json!({
        "user": "ada", "roles": [], "disabled": false, "created": "2026-11-21T07:00:00Z",
        "profile": {"city": "London"}, "revision": 3,
    });
    let proof = json!({"user": "ada", "password": "correct horse"});
    let page = json!({
        "type": "object",
        "required": ["users"],
        "properties": {
            "users": {"type": "array", "items": user},
            "next": {"type": "string", "description": "`after` of the next page; not there on the last."},
        },
    });
    let session = json!({
        "type": "object",
        "required": ["user", "token", "expires"],
        "properties": {
            "user": {"type": "string"},
            "token": {"type": "string", "description": "For `Authorization: Bearer`."},
            "expires": {"type": "string", "format": "date-time"},
        },
    });
    let granted = json!({"user": "ada", "token": "kJ8s…", "expires": "2026-12-21T07:00:00Z"});
    Ok(vec![
        Endpoint::new(Method::POST, "/register", Tag::Accounts, "Make an account", Does::Later(|call, body| Box::pin(register(call, body))))
            .about("Upper and lower case are one name. Some names are reserved.")
            .from(From::OwnAlways)
            .takes(Takes::JsonOrForm, new_user(), proof.clone())?
            .json(201, "The account.", user.clone(), ada.clone())
            .with("Location", "Where admins find it.")
            .problem(403, "Registration is closed, or a page of another site made the request.")
            .problem(409, "The name is taken, or was somebody's.")
            .problem(429, "Too many accounts were made from this address.")
            .with("Retry-After", "Seconds to wait.")
            .problem(503, "Too many passwords are being checked; try again."),
        Endpoint::new(Method::POST, "/login", Tag::Accounts, "Begin a session", Does::Later(|call, body| Box::pin(login(call, body))))
            .about("Answers a token for programs, and sets it as a cookie for browsers. Too many failures make one wait.")
            .from(From::OwnAlways)
            .takes(Takes::JsonOrForm, credentials(), proof)?
            .json(200, "The session.", session, granted)
            .with("Set-Cookie", "The session, for browsers.")
            .problem(401, "Name or password is wrong.")
            .problem(429, "Too many attempts failed.")
            .with("Retry-After", "Seconds to wait.")
            .problem(503, "Too many passwords are being checked; try again."),
        Endpoint::new(Method::POST, "/logout", Tag::Accounts, "End the session", Does::Later(|call, _| Box::pin(logout(call))))
            .about("Answers the same where there is none.")
            .from(From::Own)
            .says(204, "There is no session any more.")
            .with("Set-Cookie", "Takes the cookie back."),
        Endpoint::new(Method::POST, "/password", Tag::Accounts, "Change one's password", Does::Later(|call, body| Box::pin(password(call, body))))
            .about("Ends all of one's sessions, this one too.")
            .who(Who::User)
            .from(From::Own)
            .takes(Takes::JsonOrForm, passwords(), json!({"old": "correct horse", "new": "battery staple"}))?
            .says(204, "It is changed; log in again.")
            .problem(403, "The old password is wrong, or a page of another site made the request.")
            .problem(429, "Too many attempts failed.")
            .with("Retry-After", "Seconds to wait.")
            .problem(503, "Too many passwords are being checked; try again."),
        Endpoint::new(Method::GET, "/profile", Tag::Accounts, "Who am I?", Does::Later(|call, _| Box::pin(profile(call))))
            .who(Who::User)
            .json(200, "Whoever asks.", user.clone(), ada.clone())
            .with("ETag", "The revision."),
        Endpoint::new(Method::PATCH, "/profile", Tag::Accounts, "Change one's profile", Does::Later(|call, body| Box::pin(change_profile(call, body))))
            .about("A merge patch (RFC 7396): fields are set, or removed with null.")
            .who(Who::User)
            .from(From::Own)
            .field("If-Match", "Only if the account is at this revision.")
            .takes(Takes::Patch, json!({"type": "object"}), json!({"city": "London"}))?
            .json(200, "The account.", user.clone(), ada.clone())
            .with("ETag", "The revision.")
            .problem(409, "It is being changed too often; try again.")
            .problem(412, "The account is not at this revision."),
        Endpoint::new(Method::GET, "/users", Tag::Accounts, "List users", Does::Later(|call, _| Box::pin(users(call))))
            .who(ADMIN)
            .query("limit", Shape::Integer(1, PAGE_MAX), "How many at most; 100 by default.", "10")
            .query("after", Shape::Text(0, 64), "Begins behind this name: `next` of the page before.", "")
            .query("prefix", Shape::Text(0, 64), "Those whose names begin so.", "")
            .query("role", Shape::Text(0, 64), "Those with this role.", "")
            .query("disabled", Shape::OneOf(&["true", "false"]), "Those who are kept out, or not.", "")
            .json(200, "A page of users, by name.", page, json!({"users": [ada], "next": "ada"})),
        Endpoint::new(Method::GET, "/users/{name}", Tag::Accounts, "Look at a user", Does::Later(|call, _| Box::pin(look(call))))
            .who(ADMIN)
            .path("name", Shape::Text(1, 64), "The user's name.", "ada")
            .json(200, "The account.", user.clone(), ada.clone())
            .problem(404, "Nobody is called that."),
        Endpoint::new(Method::PATCH, "/users/{name}", Tag::Accounts, "Change a user's roles, or keep them out", Does::Later(|call, body| Box::pin(change_user(call, body))))
            .about("A user who is kept out is logged out at once. Nobody can do that to themselves.")
            .who(ADMIN)
            .from(From::Own)
            .path("name", Shape::Text(1, 64), "The user's name.", "ada")
            .takes(Takes::Patch, rights(), json!({"roles": ["editor"], "disabled": false}))?
            .json(200, "The account.", user, ada)
            .problem(404, "Nobody is called that.")
            .problem(409, "An admin cannot shut themselves out."),
    ])
}

pub(super) fn user_schema() -> Value {
    json!({
        "type": "object",
        "required": ["user", "roles", "disabled", "created", "profile", "revision"],
        "properties": {
            "user": {"type": "string"},
            "roles": {"type": "array", "items": {"type": "string"}},
            "disabled": {"type": "boolean"},
            "created": {"type": "string", "format": "date-time"},
            "profile": {"type": "object"},
            "revision": {"type": "integer", "minimum": 0},
        },
    })
}

fn new_user() -> Value {
    json!({
        "type": "object",
        "required": ["user", "password"],
        "additionalProperties": false,
        "properties": {
            "user": {"type": "string", "maxLength": 32, "pattern": "^[A-Za-z0-9]([._-]?[A-Za-z0-9])*$"},
            "password": {"type": "string", "format": "password", "minLength": 8, "maxLength": 256},
        },
    })
}

fn credentials() -> Value {
    let text = json!({"type": "string", "maxLength": 1024});
    json!({
        "type": "object",
        "required": ["user", "password"],
        "additionalProperties": false,
        "properties": {"user": text, "password": text},
    })
}

fn passwords() -> Value {
    json!({
        "type": "object",
        "required": ["old", "new"],
        "additionalProperties": false,
        "properties": {
            "old": {"type": "string", "format": "password", "maxLength": 1024},
            "new": {"type": "string", "format": "password", "minLength": 8, "maxLength": 256},
        },
    })
}

fn rights() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "roles": {
                "type": "array",
                "maxItems": 64,
                "items": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
            },
            "disabled": {"type": "boolean"},
        },
    })
}

async fn register(call: Call<'_>, body: Body) -> Reply {
    let sent = call.json(body).await?;
    let who = Credentials::new(text(&sent, "user"), text(&sent, "password"));
    let from = call.downstream().and_then(|peer| peer.ip());
    let user = call.api.accounts.register(who, from).await?;
    let user = user.map_err(refused)?;
    let place = format!("/users/{}", query::encode(&user.name));
    let mut response = answer(StatusCode::CREATED, &user);
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

async fn login(call: Call<'_>, body: Body) -> Reply {
    let sent = call.json(body).await?;
    let who = Credentials::new(text(&sent, "user"), text(&sent, "password"));
    let from = call.downstream().and_then(|peer| peer.ip());
    let grant = match call.api.accounts.login(who, from).await? {
        Admission::Granted(grant) => grant,
        Admission::Wrong => {
            let stop = Stop::new(StatusCode::UNAUTHORIZED, "name or password is wrong");
            let how = HeaderValue::from_static("Bearer realm=\"bandy\"");
            return Err(stop.with(header::WWW_AUTHENTICATE, how));
        }
        Admission::TooMany { retry_after } => return Err(too_many(retry_after)),
    };
    // A session that was planted, or is simply old, does not go on beside this one.
    if let Some(Carried::Cookie(before)) = cookie::carried(&call.parts.headers, call.is_secure()) {
        call.api.accounts.logout(before).await?;
    }
    let session = &grant.session;
    let mut response = said(
        StatusCode::OK,
        &json!({
            "user": session.user.name,
            "token": grant.token.expose(),
            "expires": rfc3339(session.expires),
        }),
    );
    let fields = response.headers_mut();
    fields.insert(header::SET_COOKIE, cookie::set(&grant, call.is_secure()));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn logout(call: Call<'_>) -> Reply {
    if let Some(token) = call.token() {
        call.api.accounts.logout(token).await?;
    }
    let mut response = empty(StatusCode::NO_CONTENT);
    let clear = cookie::clear(call.is_secure());
    response.headers_mut().insert(header::SET_COOKIE, clear);
    Ok(response)
}

async fn password(call: Call<'_>, body: Body) -> Reply {
    let sent = call.json(body).await?;
    let name = call.user()?.user.clone();
    let from = call.downstream().and_then(|peer| peer.ip());
    let old = Credentials::new(name.clone(), text(&sent, "old"));
    match call.api.accounts.login(old, from).await? {
        Admission::Granted(_) => {}
        Admission::Wrong => {
            return Err(Stop::new(
                StatusCode::FORBIDDEN,
                "the old password is wrong",
            ));
        }
        Admission::TooMany { retry_after } => return Err(too_many(retry_after)),
    }
    let new = Secret::new(text(&sent, "new"));
    let changed = call.api.accounts.set_password(&name, new).await?;
    changed.map_err(refused)?;
    let mut response = empty(StatusCode::NO_CONTENT);
    let clear = cookie::clear(call.is_secure());
    response.headers_mut().insert(header::SET_COOKIE, clear);
    Ok(response)
}

async fn profile(call: Call<'_>) -> Reply {
    if let Some(me) = &call.me {
        return Ok(answer(StatusCode::OK, me));
    }
    let user = myself(&call).await?;
    Ok(answer(StatusCode::OK, &user))
}

async fn change_profile(call: Call<'_>, body: Body) -> Reply {
    let patch = call.json(body).await?;
    let condition = Condition::of(&call.parts.headers);
    for _ in 0..TRIES {
        let user = myself(&call).await?;
        condition.check(Some(user.revision))?;
        let mut profile = Value::Object(user.profile.clone());
        json::merge(&mut profile, patch.clone());
        let Value::Object(profile) = profile else {
            break;
        };
        let changed = call
            .api
            .accounts
            .update_profile(&user.name, Some(user.revision), profile);
        match changed.await? {
            Ok(user) => return Ok(answer(StatusCode::OK, &user)),
            Err(Refused::Changed(_)) => {}
            Err(other) => return Err(refused(other)),
        }
    }
    Err(Stop::new(
        StatusCode::CONFLICT,
        "the account is being changed too often; try again",
    ))
}

async fn myself(call: &Call<'_>) -> Result<User, Stop> {
    let name = &call.user()?.user;
    let user = call.api.accounts.user(name).await?;
    user.ok_or_else(nobody)
}

async fn users(call: Call<'_>) -> Reply {
    let filter = Filter {
        prefix: call.query("prefix").map(Into::into),
        role: call.query("role").map(Into::into),
        disabled: call.query("disabled").map(|disabled| disabled == "true"),
    };
    let limit = usize::try_from(call.integer("limit", 100)).unwrap_or(1);
    let after = call.query("after");
    let page = call
        .api
        .accounts
        .users(after.as_deref(), limit, &filter)
        .await?;
    let mut fields = Map::new();
    let users: Vec<Value> = page.users.iter().map(as_json).collect();
    fields.insert("users".to_owned(), users.into());
    if let Some(next) = page.next {
        fields.insert("next".to_owned(), next.into());
    }
    Ok(said(StatusCode::OK, &Value::Object(fields)))
}

async fn look(call: Call<'_>) -> Reply {
    let user = call.api.accounts.user(&call.path("name")).await?;
    let user = user.ok_or_else(|| refused(Refused::NoSuchUser))?;
    Ok(answer(StatusCode::OK, &user))
}

async fn change_user(call: Call<'_>, body: Body) -> Reply {
    let sent = call.json(body).await?;
    let name = call.path("name").into_owned();
    let roles: Option<Vec<String>> = sent.get("roles").and_then(Value::as_array).map(|roles| {
        let roles = roles.iter().filter_map(Value::as_str);
        roles.map(str::to_owned).collect()
    });
    let disabled = sent.get("disabled").and_then(Value::as_bool);
    let is_self = call.user()?.user.eq_ignore_ascii_case(&name);
    let loses_admin = roles
        .as_ref()
        .is_some_and(|roles| !roles.iter().any(|role| role == "admin"));
    if is_self && (loses_admin || disabled == Some(true)) {
        let detail = "an admin cannot shut themselves out; another one can";
        return Err(Stop::new(StatusCode::CONFLICT, detail));
    }
    let accounts = &call.api.accounts;
    let mut user = None;
    if let Some(roles) = roles {
        user = Some(accounts.set_roles(&name, roles).await?.map_err(refused)?);
    }
    if let Some(disabled) = disabled {
        user = Some(
            accounts
                .set_disabled(&name, disabled)
                .await?
                .map_err(refused)?,
        );
    }
    let user = user.ok_or_else(|| refused(Refused::NoSuchUser))?;
    Ok(answer(StatusCode::OK, &user))
}

/// Why accounts did not do it, as a status.
fn refused(why: Refused) -> Stop {
    let detail = why.to_string();
    match &why {
        Refused::Closed => Stop::new(StatusCode::FORBIDDEN, detail),
        Refused::NameTaken | Refused::Changed(_) => Stop::new(StatusCode::CONFLICT, detail),
        Refused::TooMany(wait) => Stop::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .with(header::RETRY_AFTER, wait.as_secs().saturating_add(1).into()),
        Refused::NoSuchUser => Stop::new(StatusCode::NOT_FOUND, detail),
        _ => {
            let field = match why.field() {
                Some("name") => "/user",
                Some("password") => "/password",
                Some("roles") => "/roles",
                _ => "",
            };
            Stop::field(field, detail)
        }
    }
}

fn too_many(retry_after: std::time::Duration) -> Stop {
    let seconds = retry_after.as_secs().saturating_add(1);
    let detail = format!("too many attempts failed; try again in {seconds} s");
    Stop::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, seconds.into())
}

fn text<'v>(sent: &'v Value, name: &str) -> &'v str {
    sent.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn answer(status: StatusCode, user: &User) -> Response {
    let mut response = said(status, &as_json(user));
    note_revision(&mut response, user.revision);
    response
}

fn said(status: StatusCode, value: &Value) -> Response {
    typed(status, "application/json", value.to_string())
}

fn as_json(user: &User) -> Value {
    json!({
        "user": user.name,
        "roles": user.roles,
        "disabled": user.disabled,
        "created": rfc3339(user.created),
        "profile": user.profile,
        "revision": user.revision,
    })
}

/// RFC 3339, in UTC; a time that cannot be written so is left out.
fn rfc3339(time: std::time::SystemTime) -> Option<String> {
    OffsetDateTime::from(time).format(&Rfc3339).ok()
}
