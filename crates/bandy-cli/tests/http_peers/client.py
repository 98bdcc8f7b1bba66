"""What programs ask over HTTP: client.py LIBRARY API CA FILES CA ECHO CA, where LIBRARY is requests, httpx1 or httpx2.

The two libraries have the same words for most things; where not, it is in Client. At the end the number of connections
that there may have been to each of the three is printed.
"""

import itertools
import json
import os
import ssl
import sys
import threading

LIBRARY = sys.argv[1]
PATIENCE = 30


class Client:
    """A session of one library with one server. It has one connection, until the server says that it closes it, or an
    answer of HTTP/1.1 is left before its end."""

    made = 0

    def __init__(self, base, ca):
        self.base = base
        self.is_connected = False
        if LIBRARY == "requests":
            import requests

            self.session = requests.Session()
            self.session.trust_env = False
            self.session.verify = ca
        else:
            import httpx

            is_2 = LIBRARY == "httpx2"
            self.session = httpx.Client(
                # Both, where TLS agrees on one of them.
                http1=not is_2 or base.startswith("https"),
                http2=is_2,
                verify=ssl.create_default_context(cafile=ca),
                trust_env=False,
            )

    def ask(self, method, path, expected, **how):
        self.connect()
        response = self.session.request(method, self.base + path, timeout=PATIENCE, **self.adapted(how))
        self.is_connected = response.headers.get("connection") != "close"
        assert response.status_code == expected, (method, path, response.status_code, response.text)
        self.check_version(response)
        return response

    def connect(self):
        Client.made += not self.is_connected
        self.is_connected = True

    def adapted(self, how):
        how = dict(how)
        if LIBRARY == "requests":
            how["data"] = how.pop("content", how.get("data"))
            how["allow_redirects"] = how.pop("follow", False)
        else:
            how["follow_redirects"] = how.pop("follow", False)
        return how

    def check_version(self, response):
        if LIBRARY == "requests":
            assert response.raw.version == 11, response.raw.version
        else:
            expected = "HTTP/2" if LIBRARY == "httpx2" else "HTTP/1.1"
            assert response.http_version == expected, response.http_version

    def stream(self, path, **how):
        """The lines of an answer, as they come, and what ends it before its end."""
        self.connect()
        if LIBRARY == "requests":
            response = self.session.get(self.base + path, stream=True, timeout=PATIENCE, **how)
            assert response.status_code == 200, response.text
            return response.iter_lines(chunk_size=1, decode_unicode=True), lambda: self.leave(response.close)
        stream = self.session.stream("GET", self.base + path, timeout=PATIENCE, **how)
        response = stream.__enter__()
        assert response.status_code == 200, response
        return response.iter_lines(), lambda: self.leave(lambda: stream.__exit__(None, None, None))

    def leave(self, close):
        close()
        self.is_connected = LIBRARY == "httpx2"

    def close(self):
        self.session.close()


def events(lines):
    """Server-sent events: (id, event, data)."""
    event = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event.get("id"), event.get("event"), json.loads(event["data"])
            event = {}


def accounts(api):
    who = {"user": "ada", "password": "correct horse"}
    made = api.ask("POST", "/register", 201, json=who)
    assert made.json()["user"] == "ada"
    assert made.headers["location"] == "/users/ada"
    api.ask("POST", "/register", 409, json=who)
    for wrong in ({"user": "ada"}, {"user": "", "password": "correct horse"}, {"user": "grace", "password": "short"}):
        problem = api.ask("POST", "/register", 422, json=wrong)
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["errors"], problem.text
    api.ask("GET", "/profile", 401)
    api.ask("POST", "/login", 401, json={"user": "ada", "password": "wrong horse"})
    login = api.ask("POST", "/login", 200, data=who)
    # The session's cookie is sent from here on.
    profile = api.ask("GET", "/profile", 200)
    assert profile.json()["user"] == "ada"
    changed = api.ask("PATCH", "/profile", 200, json={"city": "Paris"}, headers={"If-Match": profile.headers["etag"]})
    assert changed.json()["profile"] == {"city": "Paris"}
    api.ask("PATCH", "/profile", 412, json={"city": "Rome"}, headers={"If-Match": profile.headers["etag"]})
    api.ask("GET", "/users", 403)
    return login.json()["token"]


def records(api):
    first = api.ask("POST", "/records/things", 201, json={"name": "tea", "price": 3.5, "words": "Grüße \U0001f375"})
    place, tag = first.headers["location"], first.headers["etag"]
    again = api.ask("GET", place, 200)
    assert again.json()["words"] == "Grüße \U0001f375"
    assert again.json()["price"] == 3.5
    assert again.headers["etag"] == tag
    unchanged = api.ask("GET", place, 304, headers={"If-None-Match": tag})
    assert unchanged.content == b""
    changed = api.ask("PATCH", place, 200, json={"price": 4}, headers={"If-Match": tag})
    assert changed.headers["etag"] != tag
    api.ask("PATCH", place, 412, json={"price": 5}, headers={"If-Match": tag})
    api.ask("PUT", place, 412, json={"price": 5}, headers={"If-None-Match": "*"})
    # What was got can be changed and put back.
    document = changed.json()
    document["price"] = 6
    put = api.ask("PUT", place, 200, json=document, headers={"If-Match": changed.headers["etag"]})
    assert put.json()["price"] == 6 and put.json()["_owner"] == "ada"

    for n in range(25):
        api.ask("POST", "/records/things", 201, json={"name": f"thing {n}", "price": n})
    page = api.ask("GET", "/records/things", 200, params={"limit": "10", "sort": "-price", "price>": "3"})
    prices = [record["price"] for record in page.json()["records"]]
    assert prices == sorted(prices, reverse=True) and len(prices) == 10, prices
    # From page to page by the link that each has.
    seen, path = set(), "/records/things?limit=10"
    while path:
        page = api.ask("GET", path, 200)
        seen |= {record["_id"] for record in page.json()["records"]}
        path = page.links["next"]["url"] if "next" in page.links else None
    assert len(seen) == 26, len(seen)

    api.ask("DELETE", place, 412, headers={"If-Match": tag})
    assert api.ask("DELETE", place, 204).content == b""
    api.ask("GET", place, 404)


def changes(api, follower, token):
    """A follower comes back with the last id that it has seen, and has missed nothing."""
    who = {"Authorization": f"Bearer {token}"}
    lines, stop = follower.stream("/records/live/changes", headers=who)
    lines = iter(lines)
    assert next(lines) == ": following"
    places = []

    def write(n):
        made = api.ask("POST", "/records/live", 201, json={"n": n})
        places.append(made.headers["location"])

    def write_all():
        for n in range(5):
            write(n)
        api.ask("PATCH", places[0], 200, json={"n": 100})

    writing = threading.Thread(target=write_all)
    writing.start()
    seen = list(itertools.islice(events(lines), 3))
    writing.join()
    stop()
    assert [(event, data["n"]) for _, event, data in seen] == [("created", n) for n in range(3)], seen
    api.ask("DELETE", places[1], 204)
    last = {"Last-Event-ID": seen[-1][0]}
    lines, stop = follower.stream("/records/live/changes", headers=who | last)
    rest = list(itertools.islice(events(lines), 4))
    stop()
    assert [event for _, event, _ in rest] == ["created", "created", "updated", "deleted"], rest
    ids = [int(id) for id, _, _ in seen + rest]
    assert ids == list(range(ids[0], ids[0] + 7)), ids
    api.ask("GET", "/records/live/changes", 422, headers=last | {"Last-Event-ID": "nonsense"})


def sums(api):
    assert api.ask("GET", "/add", 200, params={"a": 5, "b": 3}).text == "8"
    assert api.ask("POST", "/process", 200, json={"input": [1, 2, 3.5]}).json() == {"result": 6.5}
    assert api.ask("POST", "/process", 200, json={"input": []}).json() == {"result": 0}
    malformed = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    problem = api.ask("POST", "/process", 400, **malformed)
    assert problem.headers["content-type"] == "application/problem+json"
    for wrong in ({}, {"input": "123"}, {"input": [1, "2"]}, [1, 2, 3], None):
        problem = api.ask("POST", "/process", 422, content=json.dumps(wrong), headers={"Content-Type": "application/json"})
        assert problem.json()["status"] == 422 and problem.json()["errors"], problem.text
    api.ask("POST", "/process", 415, content=b"<input/>", headers={"Content-Type": "application/xml"})
    refused = api.ask("GET", "/process", 405)
    assert "POST" in refused.headers["allow"]
    if LIBRARY != "httpx2":
        # httpx waits for leave to send the rest, also of what was answered and reset (RFC 9113, section 8.1).
        api.ask("POST", "/process", 413, content=b" " * (17 << 20), headers={"Content-Type": "application/json"})


def testing(api):
    seen = api.ask("POST", "/echo/some/where?a=1&a=2", 200, json={"x": [1]}).json()
    assert seen["query"] == [["a", "1"], ["a", "2"]] and seen["json"] == {"x": [1]}, seen
    assert seen["version"] == ("HTTP/2.0" if LIBRARY == "httpx2" else "HTTP/1.1"), seen
    form = api.ask("PUT", "/echo", 200, data={"a": "1 & 2"}).json()
    assert form["form"] == [["a", "1 & 2"]], form
    pieces = (bytes([65 + n]) * 10_000 for n in range(26))
    streamed = api.ask("POST", "/echo", 200, content=pieces).json()
    assert streamed["body"]["bytes"] == 260_000
    assert api.ask("GET", "/redirect/5", 200, follow=True).history[0].status_code == 302
    api.ask("GET", "/basic-auth/ada/secret", 401)
    api.ask("GET", "/basic-auth/ada/secret", 200, auth=("ada", "secret"))
    for status in (204, 304, 404, 418, 503):
        api.ask("GET", f"/status/{status}", status)
    assert len(api.ask("GET", "/bytes/100000", 200).content) == 100_000
    lines, _ = api.stream("/stream/100")
    assert len([json.loads(line) for line in lines if line]) == 100
    head = api.ask("HEAD", "/bytes/1000", 200)
    assert head.headers["content-length"] == "1000" and head.content == b""


def logged_out(api, token):
    api.ask("POST", "/logout", 204)
    api.ask("GET", "/profile", 401)
    api.ask("GET", "/profile", 401, headers={"Authorization": f"Bearer {token}"})


def files(files):
    data = os.urandom(1 << 20)
    made = files.ask("PUT", "/data", 201, content=data)
    tag = made.headers["etag"]
    got = files.ask("GET", "/data", 200)
    while got.headers["etag"].startswith("W/"):
        # It may still be written to in the same tick of the clock, for all that the server can tell.
        got = files.ask("GET", "/data", 200)
    assert got.content == data and got.headers["etag"] == tag
    files.ask("GET", "/data", 304, headers={"If-None-Match": tag})
    files.ask("GET", "/data", 304, headers={"If-Modified-Since": got.headers["last-modified"]})
    part = files.ask("GET", "/data", 206, headers={"Range": "bytes=1000-1999"})
    assert part.content == data[1000:2000]
    assert part.headers["content-range"] == "bytes 1000-1999/1048576"
    assert files.ask("GET", "/data", 206, headers={"Range": "bytes=-5"}).content == data[-5:]
    assert files.ask("GET", "/data", 206, headers={"Range": "bytes=5-6", "If-Range": tag}).content == data[5:7]
    assert files.ask("GET", "/data", 200, headers={"Range": "bytes=5-6", "If-Range": '"other"'}).content == data
    parts = files.ask("GET", "/data", 206, headers={"Range": "bytes=0-9,-10"})
    boundary = parts.headers["content-type"].partition("boundary=")[2].encode()
    assert parts.content.count(b"--" + boundary) == 3
    assert data[:10] in parts.content and data[-10:] in parts.content
    files.ask("GET", "/data", 416, headers={"Range": "bytes=1048576-"})
    files.ask("PUT", "/data", 412, content=b"", headers={"If-None-Match": "*"})
    files.ask("PUT", "/data", 204, content=iter([b"new ", b"state"]), headers={"If-Match": tag})
    files.ask("PUT", "/data", 412, content=b"", headers={"If-Match": tag})
    assert files.ask("GET", "/data", 200).text == "new state"
    # Names that have to be written in another way.
    name = "/Gr%C3%BC%C3%9Fe%20%23%3F%25"
    files.ask("PUT", name, 201, content=b"x")
    listed = files.ask("GET", "/", 200, headers={"Accept": "application/json"}).json()
    assert [entry["name"] for entry in listed["entries"]] == ["data", "Grüße #?%"], listed
    sent = [("file", ("one.txt", b"one")), ("file", ("two.txt", b"two"))]
    assert files.ask("POST", "/", 303, files=sent).headers["location"] == "./"
    assert files.ask("GET", "/two.txt", 200).text == "two"
    files.ask("POST", "/", 409, files=sent)
    files.ask("DELETE", "/two.txt", 204)
    files.ask("GET", "/two.txt", 404)


def echo(echo):
    for size in (0, 1, 100_000, 3 << 20):
        data = os.urandom(size)
        assert echo.ask("POST", "/", 200, content=data).content == data
    pieces = [os.urandom(20_000) for _ in range(20)]
    assert echo.ask("PUT", "/any/where", 200, content=iter(pieces)).content == b"".join(pieces)


def counted(base, ca, conversation):
    Client.made = 0
    conversation(base, ca)
    return Client.made


def ask_api(base, ca):
    api, follower = Client(base, ca), Client(base, ca)
    token = accounts(api)
    records(api)
    changes(api, follower, token)
    sums(api)
    testing(api)
    logged_out(api, token)
    api.close()
    follower.close()


def ask_one(conversation):
    def ask(base, ca):
        client = Client(base, ca)
        conversation(client)
        client.close()

    return ask


bases = zip(sys.argv[2::2], sys.argv[3::2])
print(*[counted(*to, ask) for to, ask in zip(bases, (ask_api, ask_one(files), ask_one(echo)))])
