//! `bandy ask` for HTTP: a request out of items, its answer for a person or a program.
//!
//! What was typed becomes a question (`item`, `nested`, `form`, `content`, `build`); `course` asks it over a connection of
//! the library's, `follow` and `cookies` say what the next one is, and the answer goes where it should (`output`,
//! `pretty`, `decode`, `download`, `report`). Stdout has the answer's body and nothing else; all that is told of the
//! exchange goes to stderr.

use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, SystemTime};

use bandy::error::{Error, Kind};
use bandy::http::{HeaderValue, Method, Response, header};

use super::AskArgs;
use crate::exit::Code;
use crate::report as tell;

mod build;
mod content;
mod cookies;
mod course;
mod curl;
mod decode;
mod download;
mod follow;
mod form;
mod item;
mod media;
mod name;
mod nested;
pub mod options;
mod output;
mod pretty;
mod report;
pub mod session;
mod show;
pub mod url;
pub mod whole;

use build::Question;
pub use build::Typed;
use course::{Course, Dialers, Stop};
use output::{Pretty, Way};
use session::Session;

/// How long a server may be silent unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a redirect's own body is read, to use its connection again. Bytes.
const DRAINED_MAX: usize = 64 << 10;

/// Asks, prints, and gives the exit code. What failed is told on stderr here.
///
/// # Errors
/// What is wrong with the arguments, or with this machine: nothing was asked.
pub async fn ask(typed: Typed, args: &AskArgs) -> Result<Code, Error> {
    let has_input = super::input::is_redirected();
    let question = Question::new(typed, &args.http, has_input).await?;
    let mut session = Session::open(args.http.session.as_deref())?;
    if args.http.curl {
        let cookies = session.jar.header(&question.url, SystemTime::now());
        return tell::result(&(curl::command(&question, cookies.as_deref(), args) + "\n"));
    }
    let mut asking = Asking {
        args,
        dialers: Dialers::new(args, &question.url)?,
        stop: Stop::at_interrupt(),
        view: View::of(args),
        courses: Vec::new(),
        trail: follow::Trail::default(),
    };
    let done = asking.run(question, &mut session).await;
    // Also what an answer set that failed later.
    let kept = session.keep();
    let code = asking.finish(done)?;
    kept.map(|()| code)
}

/// What is shown of an exchange.
struct View {
    /// Of everything.
    verbose: bool,
    /// Of the answer.
    head: bool,
    /// On stderr.
    colour: bool,
    body: Way,
    pretty: Pretty,
}

impl View {
    fn of(args: &AskArgs) -> View {
        let is_screen = stdout().is_terminal();
        let choice = args.http.pretty.map(options::PrettyChoice::pretty);
        let pretty = choice.unwrap_or(Pretty {
            format: is_screen,
            colour: tell::takes_colour(&stdout()),
        });
        let body = match () {
            () if args.json => Way::Kept(output::Kept::default()),
            () if is_screen || pretty.format || pretty.colour => Way::Shown { pretty, is_screen },
            () => Way::Raw,
        };
        View {
            verbose: args.http.verbose,
            head: is_screen && !args.json && !args.http.head && !args.http.download,
            colour: tell::takes_colour(&stderr()),
            body,
            pretty,
        }
    }
}

/// How it came out.
enum Done {
    Answered(Code),
    Failed(Error),
    Interrupted,
}

struct Asking<'a> {
    args: &'a AskArgs,
    dialers: Dialers<'a>,
    stop: Stop,
    view: View,
    /// One for each request.
    courses: Vec<Course>,
    trail: follow::Trail,
}

impl Asking<'_> {
    async fn run(&mut self, question: Question, session: &mut Session) -> Done {
        match self.exchanges(question, session).await {
            Ok(done) => done,
            Err(error) => Done::Failed(error),
        }
    }

    /// Asks, and follows where it leads.
    async fn exchanges(
        &mut self,
        mut question: Question,
        session: &mut Session,
    ) -> Result<Done, Error> {
        let mut part = match self.args.http.download {
            true => Some(download::Partial::find(
                &question.url,
                self.args.http.output.as_deref(),
            )?),
            false => None,
        };
        let mut connection = None;
        loop {
            let cookies = session.jar.header(&question.url, SystemTime::now());
            self.trail.ask(&question, cookies.as_deref())?;
            let cookies = cookies.and_then(|text| HeaderValue::try_from(text).ok());
            let mut fields = question.fields(cookies);
            if let Some(part) = &part {
                part.ask(&mut fields);
            }
            let mut course = Course::new(&question.url, &question.method, self.patience());
            let stop = self.stop.clone();
            let asked = tokio::select! {
                asked = course.ask(&mut question, &fields, connection.take(), &mut self.dialers, &self.view) => asked,
                () = stop.wait() => {
                    self.courses.push(course);
                    return Ok(Done::Interrupted);
                }
            };
            self.courses.push(course);
            let Some(course) = self.courses.last_mut() else {
                return Ok(Done::Interrupted);
            };
            let (mut answer, open) = asked?;
            let now = SystemTime::now();
            for cookie in answer.headers().get_all(header::SET_COOKIE) {
                session.jar.take(
                    &String::from_utf8_lossy(cookie.as_bytes()),
                    &question.url,
                    now,
                );
            }
            let (status, headers) = (answer.status(), answer.headers().clone());
            let from = question.url.clone();
            if self.args.http.follow && self.trail.follow(&mut question, status, &headers)? {
                if self.view.verbose || self.view.head {
                    self.view.show_answer(&answer);
                }
                let is_free = course.drain(&mut answer, DRAINED_MAX).await;
                let goes_on = is_free
                    && open.is_free()
                    && question.is_repeatable()
                    && url::is_same_origin(&from, &question.url);
                match goes_on {
                    true => connection = Some(open),
                    false => open.close().await,
                }
                continue;
            }
            let done = self.take(&question, answer, part.take()).await;
            open.close().await;
            return done;
        }
    }

    /// The last answer: its head where it is wanted, its body where it should go.
    async fn take(
        &mut self,
        question: &Question,
        answer: Response,
        part: Option<download::Partial>,
    ) -> Result<Done, Error> {
        let Some(course) = self.courses.last_mut() else {
            return Ok(Done::Interrupted);
        };
        let status = answer.status();
        let code = match status.as_u16() {
            400.. => Code::Refused,
            _ => Code::Done,
        };
        let place = elsewhere(&answer, self.args.http.follow).map(str::to_owned);
        let view = &self.view;
        let is_head_only = self.args.http.head
            || question.method == Method::HEAD && !self.args.json && !view.head && !view.verbose;
        if view.verbose || view.head {
            view.show_answer(&answer);
        } else if is_head_only {
            show::print(&show::answer(&answer))?;
        } else if (code == Code::Refused || place.is_some()) && !self.args.json {
            tell::say(format_args!(
                "bandy: {} {}: {}{}",
                question.method,
                question.url,
                show::status_text(status),
                place.map_or(String::new(), |to| {
                    format!(
                        " to {}, where --follow goes",
                        crate::ask::visible::show(to.as_bytes())
                    )
                }),
            ));
        }
        if self.args.http.head {
            course.end();
            return Ok(Done::Answered(code));
        }
        if let Some(part) = part
            && part.is_for(status)
        {
            return download::save(part, course, answer, &self.stop).await.map(
                |saved| match saved {
                    true => Done::Answered(code),
                    false => Done::Interrupted,
                },
            );
        }
        let decodes = question.decodes();
        let output = output::open(view.body.clone(), &question.url, answer.headers(), decodes)?;
        let is_whole = course.print(answer, output, &self.stop).await?;
        Ok(match is_whole {
            true => Done::Answered(code),
            false => Done::Interrupted,
        })
    }

    fn patience(&self) -> course::Patience {
        match self.args.timeout {
            Some(super::Patience(wanted)) => course::Patience {
                silence: wanted,
                is_wanted: true,
            },
            None => course::Patience {
                silence: Some(PATIENCE),
                is_wanted: false,
            },
        }
    }

    /// Reports, draws, tells of a failure, and gives the exit code.
    fn finish(&mut self, done: Done) -> Result<Code, Error> {
        let (code, error) = match &done {
            Done::Answered(code) => (*code, None),
            Done::Interrupted => (Code::Interrupted, None),
            Done::Failed(error) => {
                let received = self
                    .courses
                    .last()
                    .map_or(0, |course| course.received_bytes);
                let code = match error.kind() {
                    Kind::Closed if received == 0 => Code::Empty,
                    _ => Code::of(error),
                };
                (code, Some(error))
            }
        };
        if let Way::Kept(kept) = &self.view.body
            && let Some(course) = self.courses.last()
        {
            let body = kept.take();
            tell::result(&report::object(
                course,
                &self.trail.hops,
                body,
                error,
                code,
            )?)?;
        }
        if self.args.trace {
            self.courses.iter().for_each(Course::draw);
        }
        match done {
            Done::Failed(error) if self.courses.is_empty() => Err(error),
            Done::Failed(error) => {
                tell::error(&error);
                Ok(code)
            }
            _ => Ok(code),
        }
    }
}

/// Where a redirect leads that is not followed.
fn elsewhere(answer: &Response, follows: bool) -> Option<&str> {
    if follows || !answer.status().is_redirection() {
        return None;
    }
    answer.headers().get(header::LOCATION)?.to_str().ok()
}

impl View {
    fn show_answer(&self, answer: &Response) {
        let mut text = show::head(&show::answer(answer), self.colour);
        text.push('\n');
        show::say(text.as_bytes());
    }
}
