//! A private place for one test's servers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bandy::endpoint::{Endpoint, Scheme};
use bandy::net::ca::{Issued, LocalCa, names_for};
use bandy::net::tls::{ClientTls, Connector, Identity, ServerTls};
use bandy::net::{Dialer, Phases};
use bandy::server::Running;
use bandy::services::{self, Needs, Spec};
use bandy::{Limits, Model, Server};
use tempfile::TempDir;

use crate::{Client, within};

/// A place for one test's servers: free endpoints, a folder, and a certificate authority that nobody else trusts.
///
/// Nothing in it touches the user's own authority. All of it is gone when it is dropped.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    ca: OnceLock<LocalCa>,
    server: OnceLock<Identity>,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::new()
    }
}

impl Stage {
    /// An empty stage.
    pub fn new() -> Stage {
        Stage {
            folder: tempfile::tempdir().expect("a folder for temporary files"),
            ca: OnceLock::new(),
            server: OnceLock::new(),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder with this text.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Its certificate authority, made at first use. It lives where a program finds its own that is started with this
    /// stage's folder as `XDG_DATA_HOME`.
    pub fn ca(&self) -> &LocalCa {
        let open = || LocalCa::open_or_create_in(&self.folder.path().join("bandy"));
        self.ca.get_or_init(|| open().expect("a CA"))
    }

    /// A server's certificate for this machine, issued by the stage's authority, as files called `name`.
    pub fn identity(&self, name: &str) -> Identity {
        let here = [Endpoint::at(Scheme::Tls, ([127, 0, 0, 1], 0).into()).expect("has a port")];
        self.write(name, &self.ca().issue(&names_for(&here)).expect("issued"))
    }

    /// A client's certificate, issued by the stage's authority, as files called `name`.
    pub fn client_identity(&self, name: &str) -> Identity {
        self.write(name, &self.ca().issue_client(name).expect("issued"))
    }

    fn write(&self, name: &str, issued: &Issued) -> Identity {
        issued.write(self.folder.path(), name).expect("written")
    }

    /// What a server needs to show a certificate of the stage's authority.
    pub fn server_tls(&self) -> ServerTls {
        ServerTls {
            identity: Some(self.server.get_or_init(|| self.identity("server")).clone()),
            ..ServerTls::default()
        }
    }

    /// What a client needs to trust the stage's authority.
    pub fn client_tls(&self) -> ClientTls {
        ClientTls {
            ca: Some(self.ca().path()),
            ..ClientTls::default()
        }
    }

    /// A place of this scheme where a server can listen: a free port of 127.0.0.1, a socket file in the folder, a name.
    pub fn place(&self, scheme: Scheme) -> Endpoint {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("stage-{}", COUNT.fetch_add(1, Relaxed));
        match scheme {
            Scheme::Unix => Endpoint::unix(self.folder.path().join(name)),
            Scheme::Mem => Endpoint::mem(name),
            _ => Endpoint::at(scheme, SocketAddr::from(([127, 0, 0, 1], 0))).expect("has a port"),
        }
    }

    /// Starts a server of one of bandy's services on each of these schemes.
    pub fn serve(&self, spec: &Spec, schemes: &[Scheme], model: Model) -> Running {
        self.serve_within(spec, schemes, model, Limits::default())
    }

    /// As [`Stage::serve`], within these limits.
    pub fn serve_within(
        &self,
        spec: &Spec,
        schemes: &[Scheme],
        model: Model,
        limits: Limits,
    ) -> Running {
        let needs = Needs {
            limits: limits.clone(),
            ..Needs::default()
        };
        let built = services::build(&spec.clone().into(), &needs).expect("a service");
        let server = Server::new(built.service()).named(spec.name(), spec.name());
        self.start(server.model(model).limits(limits), schemes)
    }

    /// Starts a server of one's own on each of these schemes.
    pub fn start(&self, server: Server, schemes: &[Scheme]) -> Running {
        self.start_at(server, schemes.iter().map(|scheme| self.place(*scheme)))
    }

    /// Starts a server of one's own at these places, with a certificate of the stage's authority if it needs one.
    pub fn start_at(
        &self,
        mut server: Server,
        places: impl IntoIterator<Item = Endpoint>,
    ) -> Running {
        let mut is_secure = false;
        for place in places {
            is_secure |= place.scheme().is_secure();
            server = server.listen_at(place);
        }
        if is_secure {
            server = server.tls(self.server_tls());
        }
        server.start().expect("a server that starts")
    }

    /// A dialer that trusts the stage's authority.
    pub fn dialer(&self) -> Dialer {
        self.dialer_as(&self.client_tls())
    }

    /// A dialer that believes and shows what `tls` says.
    pub fn dialer_as(&self, tls: &ClientTls) -> Dialer {
        Dialer::with_tls(Connector::new(tls).expect("a client's TLS"))
    }

    /// Connects to an endpoint.
    #[track_caller]
    pub fn connect(&self, to: &Endpoint) -> impl Future<Output = Client> {
        let dialer = match to.scheme().is_secure() {
            true => self.dialer(),
            false => Dialer::plain(),
        };
        let to = to.clone();
        within(format!("a connection to {to}"), async move {
            let conn = dialer.connect(&to, &mut Phases::default()).await;
            Client(conn.expect("a connection"))
        })
    }
}
