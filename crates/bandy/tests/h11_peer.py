"""Reads HTTP/1.1 with h11, for h11.rs. A line in is `request HEX` or `response METHOD HEX`: all bytes of a connection,
or of the answer to a request with that method. A line out is what was understood, message by message, as far as they came
whole: fields in hexadecimal, joined by `:` within a message and by a space between them."""

import sys

import h11

MAX = 1 << 20


def hexes(*fields):
    return ":".join(bytes(field).hex() for field in fields)


def trailers(event):
    """Those that have a place there: h11 leaves it to its user to drop the others."""
    framing = (b"host", b"content-length", b"transfer-encoding")
    return b"".join(b"%s=%s;" % (name, value) for name, value in event.headers if name not in framing)


def requests(stream):
    conn = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX)
    conn.receive_data(stream)
    conn.receive_data(b"")
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            yield hexes(request.method, request.target, body, trailers(event))
            conn.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
            conn.send(h11.EndOfMessage())
            if conn.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                return
            conn.start_next_cycle()
        else:
            return


def responses(method, stream):
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX)
    target = b"a.test:443" if method == b"CONNECT" else b"/"
    conn.send(h11.Request(method=method, target=target, headers=[("host", "a.test")]))
    conn.send(h11.EndOfMessage())
    conn.receive_data(stream)
    conn.receive_data(b"")
    while True:
        event = conn.next_event()
        if isinstance(event, h11.InformationalResponse):
            yield hexes(b"%d" % event.status_code, b"", b"", b"")
        elif isinstance(event, h11.Response):
            response, body = event, b""
            if conn.states[h11.SERVER] is h11.SWITCHED_PROTOCOL:
                yield hexes(b"%d" % response.status_code, b"switched", b"", b"")
                return
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            state = b"keeps" if conn.states[h11.SERVER] is h11.DONE else b"closes"
            # h11 keeps this state open until somebody asks again.
            if lasts_until_close(method, response):
                state = b"until close"
            yield hexes(b"%d" % response.status_code, state, body, trailers(event))
            return
        else:
            return


def lasts_until_close(method, response):
    names = [name for name, _ in response.headers]
    framed = b"content-length" in names or b"transfer-encoding" in names
    return not framed and method != b"HEAD" and response.status_code not in (204, 304)


for line in sys.stdin:
    role, *words = line.split(" ")
    stream = bytes.fromhex(words[-1])
    read = requests(stream) if role == "request" else responses(words[0].encode(), stream)
    said = []
    try:
        for message in read:
            said.append(message)
    except h11.RemoteProtocolError:
        pass
    print(" ".join(said))
