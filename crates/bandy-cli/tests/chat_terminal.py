"""bandy chat on a terminal: python3 chat_terminal.py BANDY. No sleeps: each step waits for what it must see."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

BANDY = sys.argv[1]
HOME = tempfile.mkdtemp()
PATIENCE = 20


class Screen:
    """As much of a terminal as is needed to see what a program drew."""

    def __init__(self, width, height):
        self.resize(width, height)

    def resize(self, width, height):
        self.width, self.height = width, height
        self.rows = [[" "] * width for _ in range(height)]
        self.x = self.y = 0
        self.rest = ""

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = re.compile(r"\x1b(\[[?>=]?[0-9;]*[@-~]|[=>78]|\([A-Z])").match(text, at)
                if not found:
                    self.rest = text[at:]
                    return
                self.obey(found[1])
                at = found.end()
                continue
            c = text[at]
            at += 1
            if c in "\r\n":
                self.x = 0 if c == "\r" else self.x
                self.y += c == "\n"
            elif c >= " " and self.y < self.height and self.x < self.width:
                self.rows[self.y][self.x] = c
                self.x += 1

    def obey(self, code):
        if code[0] != "[":
            return
        numbers = [int(n) if n else 0 for n in code[1:-1].lstrip("?>=").split(";")]
        if code[-1] == "H":
            self.y, self.x = max(numbers[0], 1) - 1, max((numbers + [1])[1], 1) - 1
        elif code[-1] == "J":
            self.rows = [[" "] * self.width for _ in range(self.height)]

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.rows)


class Terminal:
    def __init__(self, *args, width=90, height=20):
        self.fd, self.theirs = os.openpty()
        self.size(width, height)
        self.screen = Screen(width, height)
        self.before = termios.tcgetattr(self.theirs)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.theirs, fd)
            os.environ.update(TERM="xterm-256color", HOME=HOME, XDG_DATA_HOME=HOME, TZ="UTC")
            os.execv(BANDY, [BANDY, "chat", *args])

    def size(self, width, height):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        self.screen.resize(width, height)
        self.size(width, height)
        os.kill(self.pid, signal.SIGWINCH)

    def read(self, wait):
        if select.select([self.fd], [], [], wait)[0]:
            try:
                self.screen.feed(os.read(self.fd, 65536).decode(errors="replace"))
            except OSError:
                return

    def sees(self, what, times=1):
        until = time.monotonic() + PATIENCE
        while self.screen.text().count(what) < times:
            assert time.monotonic() < until, f"{what!r} is not to be seen:\n{self.screen.text()}"
            self.read(0.1)

    def misses(self, what):
        until = time.monotonic() + PATIENCE
        while what in self.screen.text():
            assert time.monotonic() < until, f"{what!r} is still to be seen:\n{self.screen.text()}"
            self.read(0.1)

    def types(self, text):
        os.write(self.fd, text.encode())

    def says(self, text):
        self.types(text + "\r")

    def end(self):
        until = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.read(0.01)
            if pid:
                break
            assert time.monotonic() < until, f"it goes on:\n{self.screen.text()}"
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is as it was"
        return os.waitstatus_to_exitcode(status)


class Server:
    def __init__(self):
        self.url = "http://127.0.0.1:0"
        self.start()

    def start(self):
        options = ["--store", f"sqlite:{HOME}/chat.db", "--pace", "none"]
        command = [BANDY, "serve", "chat", self.url, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        ready = self.process.stdout.readline()
        self.url = re.search(r"listening on (http://\S+?)/? ", ready)[1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def pipe(*args, said):
    command = [BANDY, "chat", *args]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=PATIENCE)


server = Server()
try:
    # Two people; what one says the other sees, with who it was.
    ada = Terminal(server.url, "--nick", "ada")
    ada.sees("#lobby")
    ada.sees("1 here")
    bob = Terminal(server.url, "--nick", "bob", width=50)
    bob.sees("2 here")
    ada.says("good morning")
    bob.sees("ada  good morning")
    # Tab completes.
    bob.types("a\t")
    bob.sees("> ada:")
    bob.says("hello")
    ada.sees("bob  ada: hello")
    bob.says("/me waves")
    ada.sees("* bob waves")

    # Nothing that others say moves the cursor, also when it came over another protocol's way in.
    done = pipe(server.url, "--nick", "eve", said="evil \x1b[2J\x1b[1;1Howned\x07 \u202eback\n/topic \x1b[2Jmine\n")
    assert done.returncode == 0, done
    assert "only a moderator of lobby may do that" in done.stderr, done.stderr
    ada.sees("eve  evil ␛[2J␛[1;1Howned␇")
    ada.sees("good morning")

    # In a pipe: lines in, lines out, and no control in them.
    assert "[lobby] ada: good morning\n" in done.stdout, done.stdout
    assert "\x1b" not in done.stdout + done.stderr

    # Another room: what is unread elsewhere is counted, and whoever is spoken to sees that.
    ada.says("/join garden")
    ada.sees(" #garden  1 here")
    bob.says("one more")
    ada.sees("#lobby 1")
    bob.says("ada, two more")
    ada.sees("#lobby 2!")
    ada.types("\x0e")
    ada.sees("bob  ada, two more")
    ada.misses("#lobby 2")

    # Alone.
    bob.says("/msg ada between us")
    bob.sees("bob  between us")
    ada.sees("@bob 1!")
    ada.says("/msg bob yes")
    bob.sees("ada  yes")
    bob.says("/part")
    bob.sees(" #lobby")
    ada.says("/part")
    ada.sees(" #garden  1 here")
    ada.types("\x0e")
    ada.sees(" #lobby  2 here")

    # Much was said: PageUp reads back, beyond what came at first, and Esc returns.
    said = "".join(f"number-{n}.\n" for n in range(200))
    assert pipe(server.url, "--nick", "carl", said=said).returncode == 0
    ada.sees("number-199.")
    dora = Terminal(server.url, "--nick", "dora")
    dora.sees("number-199.")
    until = time.monotonic() + PATIENCE
    while "good morning" not in dora.screen.text():
        assert time.monotonic() < until, dora.screen.text()
        dora.types("\x1b[5~")
        dora.read(0.05)
    dora.types("\x1b")
    dora.sees("number-199.")

    # Another size, as when a pane of tmux is split.
    dora.resize(40, 10)
    dora.sees("number-199.")
    dora.sees("\n>")
    dora.says("/quit")
    assert dora.end() == 0

    # The server is killed, and comes back: so do they, and what was said meanwhile is said once.
    server.kill()
    ada.sees("no connection")
    ada.says("into the void")
    server.start()
    bob.sees("ada  into the void")
    ada.misses("no connection")
    ada.sees("ada  into the void")
    assert ada.screen.text().count("into the void") == 1, ada.screen.text()

    # Whoever has an account comes with their password, which is not shown; or with what `ask` keeps.
    who = ["user=grace", "password=correct horse"]
    for path in ("register", "login"):
        asked = subprocess.run(
            [BANDY, "ask", f"{server.url}/{path}", *who, "--session", "grace"],
            env=os.environ | {"XDG_DATA_HOME": HOME, "XDG_STATE_HOME": HOME, "HOME": HOME}, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        assert asked.returncode == 0, asked
    grace = Terminal(server.url, "--login", "grace")
    until = time.monotonic() + PATIENCE
    grace.sees("Password:")
    grace.says("correct horse")
    grace.sees(" grace")
    assert "correct" not in grace.screen.text()
    grace.types("\x03")
    assert grace.end() == 0
    os.environ.update(XDG_STATE_HOME=HOME)
    again = Terminal(server.url, "--session", "grace")
    again.sees(" grace")
    os.kill(again.pid, signal.SIGTERM)
    assert again.end() == 0

    # A wrong password is an end.
    wrong = Terminal(server.url, "--login", "grace")
    wrong.sees("Password:")
    wrong.says("wrong horse")
    wrong.sees("name or password is wrong")
    assert wrong.end() == 1

    for terminal in (ada, bob):
        terminal.types("\x04")
        assert terminal.end() == 0
finally:
    server.kill()
