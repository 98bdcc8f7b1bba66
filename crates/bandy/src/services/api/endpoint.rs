//! A row of the table of endpoints: what is asked for, what may be sent, what can be answered, who may, and what does it.
//! Dispatch, the errors that every endpoint shares, the OpenAPI document and the page are all made of these rows.

use std::pin::Pin;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::call::Call;
use super::shape::{Param, Place, Shape};
use super::stop::Reply;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Body, Method, Request};

/// What endpoints are sorted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Compute,
    Accounts,
    Records,
    Collections,
    Testing,
    About,
}

impl Tag {
    pub(super) const ALL: [Tag; 6] = [
        Tag::Compute,
        Tag::Accounts,
        Tag::Records,
        Tag::Collections,
        Tag::Testing,
        Tag::About,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Tag::Compute => "compute",
            Tag::Accounts => "accounts",
            Tag::Records => "records",
            Tag::Collections => "collections",
            Tag::Testing => "testing",
            Tag::About => "about",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Tag::Compute => "Answers that depend on the question alone.",
            Tag::Accounts => "Registering, logging in, and who is who.",
            Tag::Records => {
                "JSON documents in collections: with revisions, paging, filters, and their changes as they happen."
            }
            Tag::Collections => "What a collection's documents must be like, and who may do what with them.",
            Tag::Testing => "For those who write a client and want to see what it does.",
            Tag::About => "This server, described.",
        }
    }
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    /// Who is logged in.
    User,
    /// Users with this role.
    Role(&'static str),
    /// The endpoint finds out by itself, and may answer 401 and 403.
    Depends,
}

/// Whether pages of other sites may make a browser ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Anywhere,
    /// Not where it changes something in the name of whoever sits there.
    Own,
    /// Not at all: logging in.
    OwnAlways,
}

/// The media types of a body that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Json,
    JsonOrForm,
    /// JSON Merge Patch (RFC 7396).
    Patch,
    /// Whatever comes, or nothing.
    Anything,
}

impl Takes {
    pub(super) fn media_types(self) -> &'static [&'static str] {
        match self {
            Takes::Json => &["application/json"],
            Takes::JsonOrForm => &["application/json", "application/x-www-form-urlencoded"],
            Takes::Patch => &["application/merge-patch+json", "application/json"],
            Takes::Anything => &["*/*"],
        }
    }
}

/// A body that an endpoint takes.
#[derive(Debug)]
pub(super) struct Input {
    pub takes: Takes,
    pub schema: Value,
    pub validator: Validator,
    pub example: Value,
}

/// An answer that an endpoint can give.
#[derive(Debug)]
pub(super) struct Says {
    pub status: u16,
    pub about: &'static str,
    pub bodies: Vec<Form>,
    /// Response fields, with what they say.
    pub fields: Vec<(&'static str, &'static str)>,
}

/// A form of an answer.
#[derive(Debug)]
pub(super) struct Form {
    pub media_type: &'static str,
    pub schema: Value,
    pub example: Option<Value>,
}

/// An answer to come.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// What answers.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// At once, out of the request's head. It checks its parameters itself.
    Now(fn(&Request) -> Reply),
    Later(for<'a> fn(Call<'a>, Body) -> Work<'a>),
}

/// One row.
pub(super) struct Endpoint {
    pub methods: Vec<Method>,
    /// `/records/{collection}/{id}`; `{name...}` is the rest of a path.
    pub path: &'static str,
    pub tag: Tag,
    pub summary: &'static str,
    pub about: &'static str,
    pub params: Vec<Param>,
    pub input: Option<Input>,
    pub says: Vec<Says>,
    pub who: Who,
    pub from: From,
    pub does: Does,
    /// Goes on until the client or the server has had enough.
    pub is_endless: bool,
}

impl Endpoint {
    /// An endpoint that anyone may use, without parameters or answers yet.
    pub(super) fn new(method: Method, path: &'static str, tag: Tag, summary: &'static str, does: Does) -> Endpoint {
        Endpoint {
            methods: vec![method],
            path,
            tag,
            summary,
            about: "",
            params: Vec::new(),
            input: None,
            says: Vec::new(),
            who: Who::Anyone,
            from: From::Anywhere,
            does,
            is_endless: false,
        }
    }

    /// For any method that can carry a request.
    pub(super) fn any_method(mut self) -> Endpoint {
        self.methods = vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        self
    }

    pub(super) fn about(mut self, about: &'static str) -> Endpoint {
        self.about = about;
        self
    }

    pub(super) fn who(mut self, who: Who) -> Endpoint {
        self.who = who;
        self
    }

    pub(super) fn from(mut self, from: From) -> Endpoint {
        self.from = from;
        self
    }

    pub(super) fn endless(mut self) -> Endpoint {
        self.is_endless = true;
        self
    }

    /// A part of the path.
    pub(super) fn path(self, name: &'static str, shape: Shape, about: &'static str, example: &'static str) -> Endpoint {
        self.param(name, Place::Path, shape, true, about, example)
    }

    /// A query parameter that may be left out.
    pub(super) fn query(self, name: &'static str, shape: Shape, about: &'static str, example: &'static str) -> Endpoint {
        self.param(name, Place::Query, shape, false, about, example)
    }

    /// A query parameter that must be there.
    pub(super) fn needs(self, name: &'static str, shape: Shape, about: &'static str, example: &'static str) -> Endpoint {
        self.param(name, Place::Query, shape, true, about, example)
    }

    /// A request field that may be left out.
    pub(super) fn field(self, name: &'static str, about: &'static str) -> Endpoint {
        self.param(name, Place::Header, Shape::Text(0, 256), false, about, "")
    }

    fn param(
        mut self,
        name: &'static str,
        place: Place,
        shape: Shape,
        required: bool,
        about: &'static str,
        example: &'static str,
    ) -> Endpoint {
        self.params.push(Param {
            name,
            place,
            shape,
            required,
            about,
            example,
        });
        self
    }

    /// The body it takes. The schema is checked before the endpoint sees it.
    ///
    /// # Errors
    /// A schema that is none: a mistake in the table.
    pub(super) fn takes(mut self, takes: Takes, schema: Value, example: Value) -> Result<Endpoint> {
        let validator = jsonschema::validator_for(&schema).map_err(|wrong| {
            let act = format!("reading the schema of {}", self.path);
            Error::new(Kind::Other, Side::Local, act).because(wrong.to_string())
        })?;
        self.input = Some(Input {
            takes,
            schema,
            validator,
            example,
        });
        Ok(self)
    }

    /// An answer with a JSON body of this schema.
    pub(super) fn json(self, status: u16, about: &'static str, schema: Value, example: Value) -> Endpoint {
        self.says(status, about).form("application/json", schema, Some(example))
    }

    /// An answer of text.
    pub(super) fn text(self, status: u16, about: &'static str, example: &'static str) -> Endpoint {
        let example = (!example.is_empty()).then(|| Value::from(example));
        self.says(status, about).form("text/plain", json!({"type": "string"}), example)
    }

    /// An answer without a body, as yet.
    pub(super) fn says(mut self, status: u16, about: &'static str) -> Endpoint {
        self.says.push(Says {
            status,
            about,
            bodies: Vec::new(),
            fields: Vec::new(),
        });
        self
    }

    /// Another form of the last answer.
    pub(super) fn form(mut self, media_type: &'static str, schema: Value, example: Option<Value>) -> Endpoint {
        if let Some(says) = self.says.last_mut() {
            says.bodies.push(Form {
                media_type,
                schema,
                example,
            });
        }
        self
    }

    /// A field of the last answer.
    pub(super) fn with(mut self, name: &'static str, about: &'static str) -> Endpoint {
        if let Some(says) = self.says.last_mut() {
            says.fields.push((name, about));
        }
        self
    }

    /// A problem that this endpoint can answer with, beyond those that follow from what it takes and who may.
    pub(super) fn problem(self, status: u16, about: &'static str) -> Endpoint {
        let problem = json!({"$ref": "#/components/schemas/Problem"});
        self.says(status, about).form("application/problem+json", problem, None)
    }

    /// The problems that follow from what it takes and who may.
    pub(super) fn implied_problems(&self) -> Vec<(u16, &'static str)> {
        let mut problems = Vec::new();
        if self.input.as_ref().is_some_and(|input| input.takes != Takes::Anything) {
            problems.push((400, "The body is not what its media type says."));
            problems.push((413, "The body is too long."));
            problems.push((415, "The body is of another media type."));
        }
        let is_checked = |param: &Param| param.place != Place::Header && param.shape != Shape::Rest;
        if self.input.as_ref().is_some_and(|input| input.takes != Takes::Anything) || self.params.iter().any(is_checked)
        {
            problems.push((422, "Something that was sent is not as it must be; `errors` says what."));
        }
        if self.who != Who::Anyone {
            problems.push((401, "Nobody is logged in."));
        }
        if self.who != Who::Anyone || self.from != From::Anywhere {
            problems.push((403, "This is not for whoever asks, or a page of another site made them ask."));
        }
        problems
    }

    pub(super) fn of_path(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| param.place == Place::Path)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.methods, self.path)
    }
}
