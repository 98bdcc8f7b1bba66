"""A browser without a window, driven by the DevTools protocol: browser.py FOLDER CONVERSATION ARGUMENT..."""

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

from websockets.sync.client import connect

PATIENCE = 30


class Browser:
    """Chromium with a home of its own in a folder, which is where it believes the authority that it is told of."""

    def __init__(self, folder, ca):
        self.home = pathlib.Path(folder)
        store = self.home / ".pki/nssdb"
        store.mkdir(parents=True)
        store = f"sql:{store}"
        subprocess.run(["certutil", "-N", "-d", store, "--empty-password"], check=True)
        subprocess.run(["certutil", "-A", "-d", store, "-n", "local", "-t", "C,,", "-i", ca], check=True)
        self.errors = open(self.home / "errors", "wb")
        self.process = subprocess.Popen(
            [
                "chromium",
                "--headless=new",
                # Its sandbox wants what containers do not have, and it only sees our own pages.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
                "--lang=en",
                "--remote-debugging-port=0",
                f"--user-data-dir={self.home / 'profile'}",
                "about:blank",
            ],
            env=os.environ | {"HOME": str(self.home)},
            stdout=self.errors,
            stderr=self.errors,
        )
        said = eventually("the browser to listen", lambda: re.search(r"DevTools listening on (\S+)", self.said()))
        self.open = contextlib.ExitStack()
        self.socket = self.open.enter_context(connect(said[1], max_size=None, compression=None, proxy=None))
        self.asked = 0
        self.events = []

    def said(self):
        return (self.home / "errors").read_text(errors="replace")

    def ask(self, method, session=None, **params):
        self.asked += 1
        asked = self.asked
        message = {"id": asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE))
            if answer.get("id") == asked:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def close(self):
        self.open.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        shutil.rmtree(self.home / "profile", ignore_errors=True)


class Page:
    """A page in a browser."""

    def __init__(self, browser, width=1280, height=900, dark=False, **more):
        self.browser = browser
        target = browser.ask("Target.createTarget", url="about:blank", **more)["targetId"]
        self.session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Audits"):
            self.ask(f"{domain}.enable")
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def open(self, url):
        gone = self.ask("Page.navigate", url=url)
        assert "errorText" not in gone, (url, gone)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        """What a script comes to, in the page."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script):
        """What a script comes to, when that is something."""

        def look():
            try:
                return self.run(script)
            except AssertionError:
                # It was asked of a page that is gone by now.
                return None

        return eventually(script, look)

    def wrong(self):
        """Errors and warnings in the page's console, violations of its policy, and exceptions that nobody caught."""
        self.run("0")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(params["args"])
            elif params.get("entry", {}).get("url", "").endswith("/favicon.ico"):
                # Of a file that is no page, which cannot say that it has none.
                continue
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"])
            elif method == "Audits.issueAdded" and params["issue"]["code"] in ("ContentSecurityPolicyIssue", "MixedContentIssue"):
                found.append(params["issue"])
        return found

    def requests(self):
        """The version of HTTP of each answer that the page got, by its URL."""
        return {
            event["params"]["response"]["url"]: event["params"]["response"].get("protocol")
            for event in self.browser.events
            if event["method"] == "Network.responseReceived" and event.get("sessionId") == self.session
        }

    def picture(self, name):
        picture = self.ask("Page.captureScreenshot", format="png")["data"]
        (self.browser.home / f"{name}.png").write_bytes(base64.b64decode(picture))

    def is_as_wide_as_its_window(self):
        return self.run("document.documentElement.scrollWidth <= innerWidth")


def eventually(what, look):
    since = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() - since < PATIENCE, f"waited for: {what}"
        time.sleep(0.01)


# The page of the application server.

FIND = """
const row = (id) => { const row = document.getElementById(id); row.open = true; return row; };
const ready = async (id) => { const found = row(id); while (!found.querySelector('form.ask').dataset.made) await new Promise(requestAnimationFrame); return found; };
const fill = (row, name, value) => { row.querySelector(`[name="${name}"]`).value = value; };
"""


def tries(page, endpoint, expected, **values):
    """Fills in an endpoint's form and sends it; the answer's text."""
    fills = "".join(f"fill(found, {json.dumps(name)}, {json.dumps(value)});" for name, value in values.items())
    page.run(f"(async () => {{ {FIND} const found = await ready('{endpoint}'); {fills} found.querySelector('form.ask button[type=submit]').click(); }})()")
    part = f"document.getElementById('{endpoint}').querySelector"
    page.until(f"{part}('.status').textContent.startsWith('{expected}') && {part}('.stop').hidden")
    return page.run(f"{part}('.body').textContent")


def api(browser, http, https):
    for base, version in ((http, "http/1.1"), (https, "h2")):
        page = Page(browser)
        page.open(f"{base}/")
        assert page.until("document.querySelectorAll('details.row').length") > 20
        assert page.run("!document.getElementById('notice')")
        page.picture(f"api-wide-{version[-1]}")
        assert tries(page, "get_add", 200, a="5", b="3") == "8"
        who = json.dumps({"user": "ada" + version[-1], "password": "correct horse"})
        tries(page, "post_register", 201, body=who)
        tries(page, "post_login", 200, body=who)
        page.until("document.getElementById('session').textContent.includes('You are ada')")
        # Records, while another form shows what becomes of them.
        page.run(
            f"(async () => {{ {FIND} const found = await ready('get_records_collection_changes'); fill(found, 'collection', 'things');"
            "found.querySelector('form.ask button[type=submit]').click(); })()"
        )
        live = "document.getElementById('get_records_collection_changes').querySelector('.body').textContent"
        page.until(f"{live}.includes('following')")
        for n in range(3):
            tries(page, "post_records_collection", 201, collection="things", body=json.dumps({"n": n}))
        page.until(f"{live}.includes('\"n\":2')")
        page.run("document.getElementById('get_records_collection_changes').querySelector('.stop').click()")
        page.until("document.getElementById('get_records_collection_changes').querySelector('.took').textContent.includes('stopped')")
        # A WebSocket.
        page.run(f"(async () => {{ {FIND} const found = await ready('get_ws'); found.querySelector('form.ask button[type=submit]').click(); }})()")
        page.until("document.getElementById('get_ws').querySelector('.body').textContent.includes('← Hello')")
        page.run("document.getElementById('get_ws').querySelector('.stop').click()")
        page.until("document.getElementById('get_ws').querySelector('.status').textContent === 'closed (1000)'")
        page.run("document.getElementById('get_add').scrollIntoView({behavior: 'instant'})")
        page.picture(f"api-tried-{version[-1]}")
        page.run("document.getElementById('get_records_collection_changes').scrollIntoView({behavior: 'instant'})")
        page.picture(f"api-live-{version[-1]}")
        # Whoever is logged in still is when the page is opened again.
        page.open(f"{base}/?again")
        page.until("document.getElementById('session').textContent.includes('You are ada')")
        page.run("document.querySelector('#session button').click()")
        page.until("document.getElementById('session').textContent.includes('Log in')")
        assert page.wrong() == [], page.wrong()
        versions = {url: version for url, version in page.requests().items() if url.startswith(base)}
        assert set(versions.values()) - {"websocket"} == {version}, versions
        # What is looked for.
        page.run("const find = document.getElementById('find'); find.value = 'post login'; find.dispatchEvent(new Event('input'))")
        assert page.run("[...document.querySelectorAll('.row:not([hidden])')].map((row) => row.id).join()") == "post_login"
    for name, width, dark in (("api-phone", 375, False), ("api-dark", 1280, True), ("api-phone-dark", 375, True)):
        page = Page(browser, width=width, height=800, dark=dark)
        page.open(f"{http}/#get_add")
        page.until("document.querySelectorAll('details.row').length")
        tries(page, "get_add", 200, a="5", b="3")
        assert page.is_as_wide_as_its_window(), name
        page.picture(name)
        page.until("new Promise((done) => { scrollTo({top: 0, behavior: 'instant'}); setTimeout(() => done(scrollY === 0), 50) })")
        page.picture(f"{name}-top")
        tries(page, "post_process", 422, body='{"input": [1, "x"]}')
        page.run("document.getElementById('post_process').scrollIntoView({behavior: 'instant'})")
        page.picture(f"{name}-problem")
    print("done")


def files(browser, http, https):
    for base in (http, https):
        page = Page(browser)
        page.open(f"{base}/")
        names = "[...document.querySelectorAll('tbody a')].map((link) => link.textContent).join()"
        assert page.run(names) == "folder/,big,small", page.run(names)
        page.picture("files-wide")
        page.run("document.querySelectorAll('th a')[1].click()")
        page.until("location.search.includes('sort=size')")
        page.until(f"({names}) === 'folder/,small,big'")
        page.run("document.querySelectorAll('th a')[1].click()")
        page.until(f"({names}) === 'folder/,big,small'")
        page.run("document.querySelector('tbody a').click()")
        page.until("location.pathname === '/folder/' && document.querySelector('form')")
        # The form, as somebody uses it.
        name = f"from {base[:5]} <&>.txt"
        (browser.home / name).write_text("sent by a browser")
        sent = [str(browser.home / name)]
        root = page.ask("DOM.getDocument")["root"]["nodeId"]
        field = page.ask("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
        page.ask("DOM.setFileInputFiles", nodeId=field, files=sent)
        page.run("document.querySelector('form button').click()")
        page.until(f"({names}).includes({json.dumps(name)})")
        page.run(f"[...document.querySelectorAll('tbody a')].find((link) => link.textContent === {json.dumps(name)}).click()")
        page.until("document.body.textContent.includes('sent by a browser')")
        assert page.wrong() == [], page.wrong()
    for name, width, dark in (("files-phone", 375, False), ("files-dark", 1280, True)):
        page = Page(browser, width=width, height=700, dark=dark)
        page.open(f"{http}/")
        assert page.is_as_wide_as_its_window(), name
        page.picture(name)
        assert page.wrong() == [], page.wrong()
    print("done")


SAY = """
new Promise((done) => {
  const socket = new WebSocket(URL), got = [];
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { socket.send("Grüße"); socket.send(new Uint8Array(100000).fill(7)); };
  socket.onmessage = ({ data }) => {
    got.push(typeof data === "string" ? data : new Uint8Array(data).filter((byte) => byte === 7).length);
    if (got.length === 2) socket.close(1000);
  };
  socket.onclose = ({ code }) => done([...got, code]);
})
"""


def websocket(browser, ws, wss, page_of_this_machine, page_elsewhere):
    """Pages of this machine may talk to it, and others may not."""
    page = Page(browser)
    page.open(page_of_this_machine)
    for url in (ws, wss):
        got = page.run(SAY.replace("URL", json.dumps(url)))
        assert got == ["Grüße", 100000, 1000], got
    assert page.wrong() == [], page.wrong()
    page = Page(browser)
    page.open(page_elsewhere)
    got = page.run(SAY.replace("URL", json.dumps(ws)))
    assert got == [1006], got
    print("done")


# The chat.

HOSTILE = "<img src=x onerror=alert(1)><script>window.stolen = true</script> &lt;b&gt; \x1b[2J"
SHOWN = HOSTILE.replace("\x1b", "\u241b")
RIGHT_TO_LEFT = "مرحبا بالجميع، كيف حالكم اليوم؟"


class Chat:
    """A chat that can be ended and started again where it was."""

    def __init__(self, bandy, folder):
        self.command = [bandy, "serve", "chat"]
        self.options = ["--store", f"sqlite:{folder}/chat.db", "--pace", "none"]
        self.folder = folder
        self.url = "http://127.0.0.1:0"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, self.url, *self.options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        ready = self.process.stdout.readline()
        self.url = re.search(r"listening on (http://\S+?)/? ", ready)[1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Talker(Page):
    """Somebody at the chat's page, who shares nothing that a browser keeps with the others."""

    def __init__(self, browser, **more):
        own = browser.ask("Target.createBrowserContext")["browserContextId"]
        super().__init__(browser, browserContextId=own, **more)
        # Each is in front of somebody.
        self.ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def come_in(self, url, nick):
        self.open(url)
        self.until("document.getElementById('enter').open")
        self.run(f"document.querySelector('#as-guest input').value = {json.dumps(nick)}; document.getElementById('as-guest').requestSubmit()")
        self.until("document.body.dataset.state === 'in' && document.getElementById('title').textContent")

    def type(self, text, then="Enter"):
        self.run("document.getElementById('say').focus()")
        self.ask("Input.insertText", text=text)
        if then:
            self.press(then)

    def press(self, key, modifiers=0):
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "k": 75}
        text = {"Enter": "\r"}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], modifiers=modifiers, text=text if kind == "keyDown" else "")

    def sees(self, text, where="#log"):
        self.until(f"[...document.querySelectorAll({json.dumps(where)} + ' *')].some((one) => one.textContent === {json.dumps(text)})")

    def texts(self):
        return self.run("[...document.querySelectorAll('#log .message .text')].map((text) => text.textContent)")


def chat(browser, bandy):
    server = Chat(bandy, browser.home)
    try:
        talk(browser, server)
    finally:
        server.kill()
    print("done")


def talk(browser, server):
    ada, bob = Talker(browser), Talker(browser)
    ada.come_in(server.url, "ada")
    bob.come_in(server.url, "bob")
    ada.sees("bob", "#members")
    # Two browsers talk; each sees that the other is writing.
    ada.type("Good morning, everybody!", None)
    bob.until("document.getElementById('typing').textContent === 'ada is writing…'")
    ada.press("Enter")
    bob.sees("Good morning, everybody!")
    bob.type("Good morning, ada!")
    ada.until("document.querySelector('#log .mention .text').textContent === 'Good morning, ada!'")
    # Whatever is said, it is text. So is what a room is about.
    bob.type(HOSTILE)
    ada.sees(SHOWN)
    bob.type(f"/me {HOSTILE}")
    ada.until(f"document.querySelector('#log .action .text').textContent.endsWith({json.dumps(SHOWN)})")
    bob.type("https://example.org/a?b=<c> and javascript:alert(1)")
    ada.until("document.querySelector('#log a')?.href === 'https://example.org/a?b='")
    bob.type(f"/nick {HOSTILE.split()[0]}")
    bob.until("document.getElementById('notice').textContent.includes('a name has only')")
    # The lobby is nobody's.
    ada.type("/topic mine")
    ada.until("document.getElementById('notice').textContent.includes('only a moderator')")
    assert not any(page.run("window.stolen || document.querySelector('#log img, #log script, #topic *')") for page in (ada, bob))
    # Right to left.
    bob.type(RIGHT_TO_LEFT)
    ada.sees(RIGHT_TO_LEFT)
    assert ada.run(f"[...document.querySelectorAll('#log .text')].find((text) => text.textContent === {json.dumps(RIGHT_TO_LEFT)}).matches(':dir(rtl)')")
    # What one said is changed and taken back, for all.
    bob.type("a mistkae")
    ada.sees("a mistkae")
    bob.press("ArrowUp")
    bob.run("document.getElementById('say').value = 'a mistake'")
    bob.press("Enter")
    ada.sees("a mistake (edited)")
    bob.run("[...document.querySelectorAll('#log .message')].at(-1).querySelector('[aria-label=\"Take back\"]').click()")
    bob.until("document.getElementById('ask').open")
    bob.run("document.getElementById('ask-yes').click()")
    ada.sees("taken back")
    # Completion.
    ada.type("@bo", None)
    ada.until("!document.getElementById('offers').hidden")
    ada.press("Tab")
    ada.until("document.getElementById('say').value === '@bob '")
    ada.type("how are you?")
    bob.sees("@bob how are you?")
    # Another room, and what is unread elsewhere.
    ada.type("/join garden")
    ada.until("document.getElementById('title').textContent === 'garden'")
    ada.type(f"/topic {HOSTILE}")
    ada.until(f"document.getElementById('topic').textContent === {json.dumps(SHOWN)}")
    assert not ada.run("window.stolen || document.querySelector('#topic *')")
    bob.type("@ada are you there?")
    ada.until("document.querySelector('#rooms [data-key=lobby] .badge.loud')?.textContent.startsWith('1')")
    ada.until("document.title.startsWith('(1) ')")
    ada.press("ArrowDown", 1)
    ada.until("document.getElementById('title').textContent === 'lobby' && !document.title.startsWith('(')")
    # Alone.
    bob.type("/msg ada between us")
    bob.until("document.getElementById('title').textContent === 'ada'")
    ada.until("!!document.querySelector('#people [data-key=\"@bob\"] .badge')")
    ada.run("document.querySelector('#people [data-key=\"@bob\"]').click()")
    ada.sees("between us")
    ada.type("yes")
    bob.sees("yes")
    ada.run("document.querySelector('#rooms [data-key=lobby]').click()")
    bob.run("document.querySelector('#rooms [data-key=lobby]').click()")
    # Much is said; what was said long ago is there when one scrolls up to it, and stays where it was.
    for n in range(110):
        ada.run(f"document.getElementById('say').value = 'number {n}'; document.getElementById('form').requestSubmit()")
    bob.sees("number 109")
    carol = Talker(browser)
    carol.come_in(server.url, "carol")
    carol.sees("number 109")
    assert "number 20" not in carol.texts()
    carol.until("(document.getElementById('scroll').scrollTop = 0, document.getElementById('log').textContent.includes('Good morning, everybody!'))")
    numbers = [text for text in carol.texts() if text.startswith("number ")]
    assert numbers == [f"number {n}" for n in range(110)], numbers
    assert carol.run("document.getElementById('edge').textContent") == "This is where lobby begins"
    # Search, and to what it found.
    carol.run("document.getElementById('open-search').click(); document.getElementById('search').value = 'morning everybody'; document.getElementById('search-form').requestSubmit()")
    carol.sees("Good morning, everybody!", "#found")
    carol.run("document.querySelector('#found button').click()")
    carol.until("document.activeElement.textContent.includes('Good morning, everybody!')")
    # After a reload all is there, and whoever was a guest is the same.
    before = bob.texts()
    bob.run("window.isOld = true; location.reload()")
    bob.until("!window.isOld && document.body.dataset.state === 'in' && document.querySelectorAll('#log .message').length > 20")
    assert bob.texts()[-20:] == before[-20:]
    bob.until("document.querySelector('#self .nick').textContent.startsWith('bob')")
    # The server is killed and started again: all come back, and what was said meanwhile is said then, once.
    server.kill()
    for page in (ada, bob, carol):
        page.until("document.body.dataset.state === 'waiting'")
    ada.picture("chat-waiting")
    ada.type("said into the void")
    ada.until("!!document.querySelector('#log .pending')")
    server.start()
    for page in (bob, carol):
        page.sees("said into the void")
    ada.until("!document.querySelector('#log .pending')")
    assert [text for text in ada.texts() if text == "said into the void"] == ["said into the void"]
    # The room's owner is gone with the server's memory of guests; who registers owns for good.
    dora = Talker(browser)
    dora.run("0")
    dora.open(server.url)
    dora.until("document.getElementById('enter').open")
    dora.run("document.getElementById('tab-register').click()")
    dora.run("const form = document.getElementById('as-user'); form.elements.user.value = 'dora'; form.elements.password.value = 'correct horse'; form.requestSubmit()")
    dora.until("document.body.dataset.state === 'in' && document.getElementById('title').textContent")
    dora.type("/join kitchen")
    dora.until("document.getElementById('title').textContent === 'kitchen'")
    carol.type("/join kitchen")
    carol.until("document.getElementById('title').textContent === 'kitchen'")
    dora.sees("carol", "#members")
    dora.run("[...document.querySelectorAll('#members button')].find((button) => button.textContent.includes('carol')).click()")
    dora.until("!document.getElementById('menu').hidden")
    dora.picture("chat-menu")
    dora.run("[...document.querySelectorAll('#menu button')].find((button) => button.textContent === 'Put out…').click()")
    dora.until("document.getElementById('ask').open")
    dora.run("document.querySelector('#ask-fields input').value = '<b>too hot</b>'; document.getElementById('ask-yes').click()")
    carol.until("document.getElementById('title').textContent === 'lobby' && document.getElementById('notice').textContent.includes('<b>too hot</b>')")
    dora.until("!document.getElementById('members').textContent.includes('carol')")
    moderate(browser, server, dora, carol)
    dora.run("document.querySelector('#rooms [data-key=lobby]').click()")
    dora.until("document.getElementById('title').textContent === 'lobby'")
    dora.picture("chat-wide")
    dora.run("document.getElementById('help').click()")
    dora.picture("chat-help")
    dora.run("document.getElementById('help-close').click(); document.getElementById('browse').click()")
    dora.until("document.querySelectorAll('#go-list li').length > 2")
    dora.picture("chat-go")
    # The cookie is enough to come back with.
    dora.run("window.isOld = true; location.reload()")
    dora.until("!window.isOld && document.body.dataset.state === 'in' && document.querySelector('#self .nick')?.textContent === 'dora'")
    for page in (ada, bob, carol, dora):
        wrong = [one for one in page.wrong() if "ERR_CONNECTION_REFUSED" not in str(one)]
        assert wrong == [], wrong
    looks(browser, server)


def moderate(browser, server, dora, carol):
    """What the owner of a room does with the mouse, and what the others notice of it."""

    def is_in(page):
        page.until("document.getElementById('title').textContent === 'kitchen'")

    def is_told(page, text):
        page.until(f"document.getElementById('notice').textContent.includes({json.dumps(text)})")
        page.run("document.getElementById('notice').textContent = ''")

    def menu(nick, item):
        dora.sees(nick, "#members")
        dora.run(f"[...document.querySelectorAll('#members button')].find((button) => button.textContent.includes({json.dumps(nick)})).click()")
        dora.run(f"[...document.querySelectorAll('#menu button')].find((button) => button.textContent === {json.dumps(item)}).click()")

    def answer(page, fields=""):
        page.until("document.getElementById('ask').open")
        page.run(f"{fields}; document.getElementById('ask-yes').click()")

    def setting(label, change):
        dora.run("document.getElementById('open-room').click()")
        dora.until("document.getElementById('room').open")
        dora.run(f"{{ const input = [...document.querySelectorAll('#room-body label')].find((label) => label.textContent.trim() === {json.dumps(label)}).querySelector('input'); {change}; input.dispatchEvent(new Event('change')) }}")
        dora.until("document.querySelector('#room-wrong').textContent === ''")
        dora.run("document.getElementById('room-close').click()")

    carol.type("/join kitchen")
    is_in(carol)
    # Silent, and not any more.
    menu("carol", "Mute for ten minutes")
    dora.until("document.getElementById('log').textContent.includes('muted')")
    carol.type("may I?")
    is_told(carol, "you are muted in kitchen")
    assert carol.run("document.getElementById('say').value") == "may I?", "what was refused is not lost"
    menu("carol", "Let them speak again")
    dora.until("document.getElementById('log').textContent.includes('speak again')")
    carol.press("Enter")
    dora.sees("may I?")
    # Power, and without it again.
    menu("carol", "Make moderator")
    dora.sees("Moderators", "#members")
    carol.type("/topic soup")
    dora.until("document.getElementById('topic').textContent === 'soup'")
    carol.run("[...document.querySelectorAll('#members button')].find((button) => button.textContent.includes('dora')).click()")
    carol.until("[...document.querySelectorAll('#menu button')].some((button) => button.textContent === 'Put out…')")
    carol.press("Escape")
    menu("carol", "Take the role away")
    dora.until("!document.getElementById('members').textContent.includes('Moderators')")
    carol.type("/topic more soup")
    is_told(carol, "only a moderator")
    carol.run("document.getElementById('say').value = ''")
    # By invitation.
    setting("Only who was invited comes in", "input.checked = true")
    dora.until("document.getElementById('log').textContent.includes('set invite only to true')")
    eve = Talker(browser)
    eve.come_in(server.url, "eve")
    eve.type("/join kitchen")
    is_told(eve, "invited")
    dora.type("/invite eve")
    eve.until("document.getElementById('ask-title').textContent === 'dora invites you to kitchen'")
    answer(eve)
    is_in(eve)
    # With a password.
    setting("Only who was invited comes in", "input.checked = false")
    setting("Password", "input.value = 'sesame'")
    dora.until("document.getElementById('log').textContent.includes('set password to true')")
    finn = Talker(browser)
    finn.come_in(server.url, "finn")
    finn.type("/join kitchen")
    finn.until("document.getElementById('ask-title').textContent === 'kitchen has a password'")
    finn.picture("chat-password")
    answer(finn, "document.querySelector('#ask-fields input').value = 'open'")
    # It is asked for again.
    finn.until("document.getElementById('ask').open && document.querySelector('#ask-fields input').value === ''")
    answer(finn, "document.querySelector('#ask-fields input').value = 'sesame'")
    is_in(finn)
    # Out, and kept out; and let in again.
    menu("finn", "Ban…")
    answer(dora, "document.querySelector('#ask-fields input').value = 'too much salt'")
    is_told(finn, "too much salt")
    finn.type("/join kitchen")
    is_told(finn, "you are banned from kitchen: too much salt")
    menu("eve", "Mute")
    dora.run("document.getElementById('open-room').click()")
    dora.until("document.getElementById('room').open && document.querySelectorAll('#room-body .rules li').length === 2")
    dora.picture("chat-room")
    dora.run("document.querySelector('#room-body .rules button').click()")
    dora.until("document.querySelectorAll('#room-body .rules li').length === 1")
    dora.run("document.querySelector('#room-body .rules button').click()")
    dora.until("document.querySelectorAll('#room-body .rules li').length === 0")
    dora.run("document.getElementById('room-close').click()")
    finn.type("/join kitchen sesame")
    is_in(finn)
    eve.type("I may speak")
    finn.sees("I may speak")
    # The server is killed: who comes back is who they were, with the rooms that they were in and what they may there.
    server.kill()
    for page in (dora, eve, finn):
        page.until("document.body.dataset.state === 'waiting'")
    eve.type("/msg dora are you there?")
    server.start()
    for page in (dora, eve, finn):
        page.until("document.body.dataset.state === 'in'")
    is_in(dora)
    dora.sees("eve", "#members")
    dora.until("!!document.querySelector('#people [data-key=\"@eve\"] .badge')")
    dora.run("document.querySelector('#people [data-key=\"@eve\"]').click()")
    dora.sees("are you there?")
    assert dora.texts() == ["are you there?"], dora.texts()
    for page in (eve, finn):
        wrong = [one for one in page.wrong() if "ERR_CONNECTION_REFUSED" not in str(one)]
        assert wrong == [], wrong


def looks(browser, server):
    """What it looks like with some talk in it, at desks and on phones."""
    said = [
        ("mira", "Has anybody tried the new build on the old laptop?"),
        ("yusuf", "جربته أمس وكان أسرع بكثير من قبل 👍"),
        ("yusuf", "It took 12 s instead of 40: https://example.org/builds/418"),
        ("mira", "שלום! תודה רבה, זה מצוין"),
        ("jon", "@mira I can try it on mine this evening. It has two cores and not much memory, so it should be a fair test of what people really have at home; I will write down what I find."),
        ("jon", "One question though:\n1. with the cache\n2. or without?"),
        ("mira", "Without, please. With it everybody is fast."),
    ]
    people = {}
    for nick in ("mira", "yusuf", "jon"):
        people[nick] = Talker(browser)
        people[nick].come_in(f"{server.url}/#workshop", nick)
        people[nick].until("document.getElementById('title').textContent === 'workshop'")
    people["mira"].type("/topic Builds, tests and what breaks them")
    for nick, text in said:
        people[nick].run(f"document.getElementById('say').value = {json.dumps(text)}; document.getElementById('form').requestSubmit()")
        people["mira"].sees(text)
    for name, width, dark in (("chat-desk", 1280, False), ("chat-desk-dark", 1280, True), ("chat-phone", 375, False), ("chat-phone-dark", 375, True)):
        page = Talker(browser, width=width, height=800, dark=dark)
        page.open(server.url)
        page.until("document.getElementById('enter').open")
        page.picture(f"{name}-enter")
        page.come_in(f"{server.url}/?{name}#workshop", "mira-" + name.replace("chat-", ""))
        page.until("document.getElementById('title').textContent === 'workshop'")
        page.sees(said[-1][1])
        assert page.is_as_wide_as_its_window(), name
        page.picture(name)
        if width < 600:
            page.run("document.getElementById('open-side').click()")
            page.until("getComputedStyle(document.getElementById('side')).visibility === 'visible'")
            page.until("document.getAnimations().length === 0")
            page.picture(f"{name}-side")
            page.run("document.getElementById('open-side').click(); document.getElementById('open-members').click()")
            page.until("document.getAnimations().length === 0")
            page.picture(f"{name}-members")
        assert page.wrong() == [], page.wrong()


def admin(browser, url, edge):
    """The live page shows what goes on, and what somebody changes of it."""
    for width, dark in ((1280, False), (375, True)):
        page = Page(browser, width=width, dark=dark)
        page.open(f"{url}/")
        state = lambda name: f"document.querySelector('[data-backend=\"{name}\"] .state')?.textContent"
        button = "document.querySelector('[data-backend=two] button')"
        page.until(f"{state('one')} === 'up' && {state('two')} === 'up'")
        # What it answers is in the numbers and in the curves.
        for _ in range(20):
            urllib.request.urlopen(edge).read()
        page.until("document.querySelector('.tile span').textContent !== '0 in all'")
        page.until("document.querySelectorAll('.plot path.stroke').length > 3")
        page.run(f"{button}.click()")
        page.until(f"{state('two')} === 'draining' && {button}.textContent === 'Ready'")
        page.until("document.querySelector('.tile.bad')?.textContent.includes('of 2 ready')")
        with urllib.request.urlopen(f"{url}/status") as status:
            two = json.load(status)["pools"][0]["backends"][1]
        assert two["draining"] and not two["ready"], two
        assert page.is_as_wide_as_its_window(), width
        page.picture(f"admin-{width}")
        page.run(f"{button}.click()")
        page.until(f"{state('two')} === 'up' && {button}.textContent === 'Drain'")
        page.run("const weight = document.querySelector('[data-backend=one] input'); weight.value = 5; weight.dispatchEvent(new Event('change'))")
        page.until(f"fetch('status').then((said) => said.json()).then((said) => said.pools[0].backends[0].weight === 5)")
        assert page.wrong() == [], page.wrong()
    print("done")


def token(browser, url, secret):
    """The page asks for the token, and remembers it for as long as it is open."""
    page = Page(browser)
    page.open(f"{url}/")
    page.until("!document.getElementById('token').hidden")
    type_in = "document.getElementById('secret').value = %s; document.querySelector('#token button').click()"
    page.run(type_in % json.dumps("not the token at all"))
    page.until("document.getElementById('wrong').textContent === 'That is not it.'")
    page.run(type_in % json.dumps(secret))
    page.until("document.querySelector('.tile') && document.getElementById('token').hidden")
    page.open(f"{url}/?again")
    page.until("document.querySelector('.tile') !== null")
    print("done")


folder, ca, conversation, *arguments = sys.argv[1:]
browser = Browser(folder, ca)
try:
    conversations = {"admin": admin, "api": api, "chat": chat, "files": files, "token": token, "websocket": websocket}
    conversations[conversation](browser, *arguments)
except BaseException:
    print(browser.said()[-3000:], file=sys.stderr)
    raise
finally:
    browser.close()
