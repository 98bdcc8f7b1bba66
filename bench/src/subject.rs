//! Who is measured: the servers, and which of them are fit for what.

use crate::machine::Placement;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Bandy,
    CEpoll,
    CUdp,
    Asyncio,
    AsyncioTuned,
    Threaded,
    TokioMt,
    TokioUdp,
    Socat,
    Ncat,
    /// Bandy asked for what takes a session.
    BandyProfile,
    Nginx,
    /// nginx that keeps files open between requests.
    NginxCache,
    Axum,
    Node,
    Flask,
}

/// What a server is started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    TcpEcho,
    UdpEcho,
    /// `GET /add`, and whatever else Bandy's application server has.
    Api,
    /// The same where it must be told beforehand that HTTP/2 is what comes.
    ApiOverH2,
    Files,
}

/// A server and the cores it may use: what one row of a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub server: Server,
    pub placement: Placement,
}

impl Server {
    pub const ALL: [Server; 16] = [
        Server::Bandy,
        Server::CEpoll,
        Server::Asyncio,
        Server::AsyncioTuned,
        Server::Threaded,
        Server::TokioMt,
        Server::Socat,
        Server::Ncat,
        Server::CUdp,
        Server::TokioUdp,
        Server::BandyProfile,
        Server::Nginx,
        Server::NginxCache,
        Server::Axum,
        Server::Node,
        Server::Flask,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Server::Bandy => "bandy",
            Server::CEpoll => "c-epoll",
            Server::CUdp => "c-udp",
            Server::Asyncio => "asyncio",
            Server::AsyncioTuned => "asyncio-tuned",
            Server::Threaded => "threaded",
            Server::TokioMt => "tokio-mt",
            Server::TokioUdp => "tokio-udp",
            Server::Socat => "socat",
            Server::Ncat => "ncat",
            Server::BandyProfile => "bandy-profile",
            Server::Nginx => "nginx",
            Server::NginxCache => "nginx-cache",
            Server::Axum => "axum",
            Server::Node => "node",
            Server::Flask => "flask",
        }
    }

    pub fn on_one_core(self) -> Subject {
        Subject {
            server: self,
            placement: Placement::OneCore,
        }
    }

    pub fn on_all_cores(self) -> Subject {
        Subject {
            server: self,
            placement: Placement::AllCores,
        }
    }

    /// socat and ncat fork for each connection: a thousand would measure fork, not echo.
    pub fn connections_max(self) -> usize {
        match self {
            Server::Socat | Server::Ncat => 50,
            Server::Threaded => 1_000,
            _ => usize::MAX,
        }
    }
}

impl Subject {
    pub fn label(self) -> String {
        match self.placement {
            Placement::OneCore => self.server.name().to_owned(),
            Placement::AllCores => format!("{} (all cores)", self.server.name()),
            Placement::Generators => format!("{} (as a backend)", self.server.name()),
        }
    }
}
