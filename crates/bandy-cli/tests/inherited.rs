//! Started by a service manager: sockets that it opened for us (sd_listen_fds(3)), and what it is told (sd_notify(3)).

use std::os::unix::net::UnixDatagram;

use bandy::Endpoint;
use bandy_testkit::{PATIENCE, Program, Stage, raw};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// Opens a socket for each of its first arguments up to `--`, hands them over as systemd does, and becomes the program
/// behind it. `{0}` in the program's arguments is the first socket's port.
const MANAGER: &str = r#"
import fcntl, os, socket, sys
split = sys.argv.index("--")
sockets, ports = [], []
for kind in sys.argv[1:split]:
    if kind == "tcp":
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.bind(("127.0.0.1", 0)); s.listen(16)
    elif kind == "udp":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
    else:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind(kind); s.listen(16)
    sockets.append(fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100))
    ports.append(s.getsockname()[1] if kind in ("tcp", "udp") else 0)
for i, fd in enumerate(sockets):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(sockets))
os.environ["LISTEN_PID"] = str(os.getpid())
argv = [a.format(*ports) for a in sys.argv[split + 1:]]
os.execv(argv[0], argv)
"#;

#[test]
fn sockets_that_were_opened_for_us_are_taken() {
    let stage = Stage::new();
    let path = stage.folder().join("a.sock");
    let unix = path.to_str().expect("text");
    let manager = ["python3", "-c", MANAGER, "tcp", "udp", unix, "tcp", "--"];
    let urls = [
        "tcp://127.0.0.1:{0}",
        "udp://127.0.0.1:{1}",
        &format!("unix://{unix}"),
    ];
    for model in ["async", "threads", "sequential"] {
        let program = Program::by(&manager, BANDY, &stage);
        let program = program
            .args(["serve", "echo"])
            .args(urls)
            .args(["--model", model]);
        let mut server = program.start();
        for _ in 0..3 {
            assert_eq!(
                raw::echo(raw::tcp(&server.endpoint(0)), b"Hello"),
                b"Hello",
                "{model}"
            );
            assert_eq!(
                raw::ask_udp(&raw::udp(&server.endpoint(1)), b"Hello"),
                b"Hello",
                "{model}"
            );
            assert_eq!(
                raw::echo(raw::unix(&Endpoint::unix(&path)), b"Hello"),
                b"Hello",
                "{model}"
            );
        }
        server.log("of the socket that is left over", |line| {
            line.text("message")
                .contains("none that the configuration listens on")
        });
        assert_eq!(server.stop(), 0, "{model}");
        // The file is the service manager's: its sockets outlive us.
        assert!(path.exists(), "{model}");
        std::fs::remove_file(&path).expect("it is there");
    }
}

#[test]
fn the_service_manager_is_told() {
    let stage = Stage::new();
    let path = stage.folder().join("notify.sock");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("an option");
    let told = || {
        let mut text = [0; 1000];
        let n = manager.recv(&mut text).expect("a word in time");
        String::from_utf8_lossy(&text[..n]).trim().to_owned()
    };
    let program = Program::new(BANDY, &stage).env("NOTIFY_SOCKET", &path);
    let mut server = program.args(["serve", "echo", "tcp://:0"]).start();
    assert_eq!(told(), "READY=1");
    // Ready means that it answers.
    assert_eq!(raw::echo(raw::tcp(&server.endpoint(0)), b"Hello"), b"Hello");
    assert_eq!(server.stop(), 0);
    assert_eq!(told(), "STOPPING=1");
}
