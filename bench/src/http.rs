//! HTTP: a sum, a file, a profile, asked for over and over by as many connections as the setting says.
//!
//! Before anything is counted, two requests by hand show that the answer is right; while it is counted, wrk or h2load sees to it that
//! there is no other status and no broken connection, and the bytes that came must be enough for the bodies.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ask::{self, Answer};
use crate::loader::Load;
use crate::machine::Interrupt;
use crate::running::Running;
use crate::sample::{Counting, Sample, Window};
use crate::subject::{Role, Server};
use crate::{h2load, web, wrk};

pub const ADD: &str = "/add?a=5&b=3";
/// wrk knows whole seconds only.
pub const WARM_UP: Duration = Duration::from_secs(1);
const STREAMS: usize = 32;

/// What is asked for, and by how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub wish: Wish,
    pub connections: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `GET /add?a=5&b=3`, over HTTP/1.1.
    Sum,
    /// The same over HTTP/2, many at once on each connection.
    SumOverH2,
    /// A file of so many bytes.
    File(usize),
    /// Who asks, found out by a session; and, by another subject, the sum: what does knowing the session cost?
    Profile,
}

impl Setting {
    pub fn title(self) -> String {
        let Setting { wish, connections } = self;
        match wish {
            Wish::Sum => format!("GET /add, HTTP/1.1, {connections} connections"),
            Wish::SumOverH2 => {
                format!("GET /add, HTTP/2, {connections} connections x {STREAMS} streams")
            }
            Wish::File(bytes @ ..0x10_0000) => {
                format!("file of {} KiB, {connections} connections", bytes >> 10)
            }
            Wish::File(bytes) => {
                format!("file of {} MiB, {connections} connections", bytes >> 20)
            }
            Wish::Profile => {
                format!("GET /profile with a session, GET /add, {connections} connections")
            }
        }
    }

    /// What a server is started as.
    pub fn role(self) -> Role {
        match self.wish {
            Wish::Sum | Wish::Profile => Role::Api,
            Wish::SumOverH2 => Role::ApiOverH2,
            Wish::File(_) => Role::Files,
        }
    }
}

/// One round against one running server.
pub fn measure(
    server: &Running,
    who: Server,
    setting: Setting,
    window: Window,
    interrupt: &Interrupt,
) -> Result<Sample> {
    let (target, fields) = match (setting.wish, who) {
        (Wish::File(bytes), _) => (format!("/{}", web::file_name(bytes)), Vec::new()),
        (Wish::Profile, Server::BandyProfile) => {
            ("/profile".to_owned(), vec![ask::log_in(server.address)?])
        }
        _ => (ADD.to_owned(), Vec::new()),
    };
    let body_bytes = match setting.wish {
        // A port that speaks HTTP/2 from the first byte on need not know another; h2load looks at the statuses.
        Wish::SumOverH2 => 1,
        _ => check(server, setting.wish, &target, &fields)?,
    };
    let url = format!("http://{}{target}", server.address);
    let run = |time| match setting.wish {
        Wish::SumOverH2 => h2load::run(&url, setting.connections, STREAMS, time, interrupt),
        _ => {
            let request = wrk::Request {
                url: &url,
                fields: &fields,
                script: None,
            };
            wrk::run(&request, setting.connections, time, interrupt)
        }
    };
    run(WARM_UP)?;
    let counting = Counting::open(server.pid())?;
    let load = run(window.count)?;
    let sample = counting.close_over(&load)?;
    check_bytes(&load, body_bytes)?;
    Ok(sample)
}

/// Asks twice on one connection, which wrk would open again and say nothing, and returns how long the right answer is.
fn check(server: &Running, wish: Wish, target: &str, fields: &[String]) -> Result<usize> {
    let request = ask::request(server.address, "GET", target, fields, b"");
    let mut stream = ask::connect(server.address)?;
    let answers = (0..2).map(|_| ask::exchange(&mut stream, &request));
    let answers: Vec<Answer> = answers
        .collect::<Result<_>>()
        .with_context(|| format!("asking GET {target} twice"))?;
    let answer = &answers[1];
    let is_right = match wish {
        Wish::File(bytes) => answer.body == web::content(bytes),
        _ if target == ADD => answer.body.trim_ascii() == b"8",
        _ => answer.body.windows(3).any(|three| three == b"ada"),
    };
    ensure!(
        answer.status == 200 && is_right,
        "asking GET {target}: not what was wanted, but {}",
        answer.words()
    );
    Ok(answer.body.len())
}

/// wrk rounds to a hundredth of its unit.
fn check_bytes(load: &Load, body_bytes: usize) -> Result<()> {
    let least = load.requests as f64 * body_bytes as f64 * 0.99;
    ensure!(
        load.bytes as f64 >= least,
        "counting answers: {} of them with {body_bytes} bytes each came in {} bytes",
        load.requests,
        load.bytes
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_lack_their_bodies_are_found() {
        let load = |bytes| Load {
            requests: 100,
            seconds: 1.0,
            p50_us: None,
            p99_us: None,
            bytes,
        };
        assert!(check_bytes(&load(102_400), 1024).is_ok());
        assert!(check_bytes(&load(90_000), 1024).is_err());
    }
}
