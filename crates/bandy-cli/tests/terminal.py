"""bandy on a terminal: python3 terminal.py BANDY. No sleeps: each step waits for what it must see."""

import fcntl
import os
import pty
import select
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

BANDY = sys.argv[1]
STATE = tempfile.mkdtemp()


def server(talk):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def run():
        conn, _ = listener.accept()
        talk(conn)
        conn.close()

    threading.Thread(target=run, daemon=True).start()
    return "tcp://127.0.0.1:%d" % listener.getsockname()[1]


class Terminal:
    def __init__(self, *args, command="ask", size=None):
        ours, theirs = os.openpty()
        if size:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.fd, self.theirs = ours, theirs
        self.before = termios.tcgetattr(theirs)
        self.seen = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(theirs) if hasattr(os, "login_tty") else self.login()
            os.environ.update(XDG_STATE_HOME=STATE, TERM="xterm")
            os.execv(BANDY, [BANDY, command, *args])

    def login(self):
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(self.theirs, fd)

    def read(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.time()))[0]:
            return b""
        return os.read(self.fd, 65536)

    def expect(self, what):
        until = time.time() + 10
        while what not in self.seen:
            more = self.read(until)
            assert more, f"{what!r} did not come, but {self.seen!r}"
            self.seen += more
        end = self.seen.index(what) + len(what)
        came, self.seen = self.seen[:end], self.seen[end:]
        return came

    def send(self, what):
        os.write(self.fd, what)

    def end(self):
        until = time.time() + 10
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.seen += self.read(time.time() + 0.01)
            if pid:
                break
            assert time.time() < until, f"it goes on: {self.seen!r}"
        while more := self.read(time.time()):
            self.seen += more
        after = termios.tcgetattr(self.theirs)
        assert after == self.before, "the terminal is as it was"
        return os.waitstatus_to_exitcode(status)


def echo_then_bye(conn):
    while said := conn.recv(1000):
        conn.sendall(said)
    conn.sendall(b"bye")


# A line, its answer, and Ctrl-D, after which the rest is waited for.
t = Terminal(server(echo_then_bye))
t.expect(b"> ")
t.send(b"hello\r")
t.expect(b"hello\r\n")
t.expect(b"hello\r\n")
t.expect(b"> ")
t.send(b"\x04")
assert t.end() == 0
assert b"bye\r\n" in t.seen, t.seen

# The history is remembered, and nobody else's business.
history = os.path.join(STATE, "bandy", "history")
assert stat.S_IMODE(os.stat(history).st_mode) == 0o600
t = Terminal(server(echo_then_bye))
t.expect(b"> ")
t.send(b"\x1b[A")
t.expect(b"hello")
t.send(b"\x03")
assert t.end() == 130

# Answers come above the line that is being typed, cannot move the cursor, and are all seen when the server closes.
go = threading.Event()


def question(conn):
    conn.sendall(b"login: ")
    go.wait()
    conn.sendall(b"\x1b[2Jlast words\n")


t = Terminal(server(question))
t.expect(b"login: ")
t.send(b"half a l")
t.expect(b"half a l")
go.set()
t.expect(b"^[[2Jlast words\r\n")
assert t.end() == 0
assert b"the server closed" in t.seen, t.seen

# Ctrl-C after Ctrl-D.
eof = threading.Event()


def silent(conn):
    while conn.recv(1000):
        pass
    eof.set()
    threading.Event().wait()


t = Terminal(server(silent))
t.expect(b"> ")
t.send(b"\x04")
assert eof.wait(10)
t.send(b"\x03")
assert t.end() == 130

# An item on a terminal: visible, and the next prompt on a line of its own.
def ring(conn):
    while conn.recv(1000):
        pass
    conn.sendall(b"\x07ring")


t = Terminal(server(ring), "x")
assert t.end() == 0
assert t.seen == b"^Gring\r\n", t.seen


# Over HTTP: the head, and JSON indented and in colours; nothing that a terminal would obey, and no binary.
def http(head, body):
    def talk(conn):
        conn.recv(10000)
        conn.sendall(b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body))

    return server(talk).replace("tcp", "http")


t = Terminal(http(b"Content-Type: application/json", b'{"a":[1,"\xc2\x9b2J"]}'))
assert t.end() == 0
assert b"200 OK\x1b[0m\r\n\x1b[36mContent-Type\x1b[0m: application/json\r\n" in t.seen, t.seen
body = b'{\r\n  \x1b[34;1m"a"\x1b[0m: [\r\n    \x1b[36m1\x1b[0m,\r\n    \x1b[32m"\\u{9b}2J"\x1b[0m\r\n  ]\r\n}\r\n'
assert t.seen.endswith(b"\r\n\r\n" + body), t.seen

t = Terminal(http(b"Content-Type: image/png", b"\x89PNG\r\n\x1a\n\0\0"))
assert t.end() == 0
assert b"(binary, image/png: not shown" in t.seen and b"PNG" not in t.seen, t.seen

# A password is asked for twice, and nothing of it is shown.
store = ("--store", "sqlite:" + os.path.join(STATE, "bandy.db"))
t = Terminal("add", "ada", *store, command="user")
t.expect(b"Password: ")
t.send(b"correct horsy\x7fe\r")
assert t.expect(b"Again: ") == b"\r\nAgain: "
t.send(b"correct horse\r")
assert t.end() == 0
assert t.seen == b"\r\nadded ada\r\n", t.seen

# Given up: nothing has happened, and the terminal is as it was.
t = Terminal("password", "ada", *store, command="user")
t.expect(b"Password: ")
t.send(b"another\x03")
assert t.end() == 2
assert b"it was given up" in t.seen, t.seen


# What goes on in a running bandy, drawn and drawn again; q gives the terminal back as it was.
web = subprocess.Popen(
    [BANDY, "balance", "http://:0", "--to", "http://127.0.0.1:9,name=nobody", "--admin", "http://127.0.0.1:0"],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
try:
    edge, admin = (web.stdout.readline().split()[2] for _ in range(2))
    for colour in (True, False):
        if not colour:
            os.environ["NO_COLOR"] = "1"
        t = Terminal(admin, command="top", size=(40, 120))
        # Between words the cursor is moved.
        t.expect(b"round-robin")
        t.expect(b"nobody")
        seen = t.expect(b"servers")
        # A colour of the state that it is in: green.
        assert (b"\x1b[38;5;2" in seen) == colour, seen
        t.send(b"q")
        assert t.end() == 0
        assert b"\x1b[?1049l" in t.seen, t.seen
    # Ctrl-C is a key here, and ends it as well.
    t = Terminal(admin, command="top", size=(40, 120))
    t.expect(b"servers")
    t.send(b"\x03")
    assert t.end() == 0
finally:
    web.terminate()
    web.wait()
