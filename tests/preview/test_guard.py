"""Which requests the preview answers and which it refuses: sent to the server itself, over a socket."""

import http.client
import json
import socket
import threading

import psutil
import pytest

from bbilang.preview.server import Server
from bbilang.preview.state import Shown


@pytest.fixture
def server():
    shown = Shown()
    shown.page(b"<!doctype html><title>page</title>", "made")
    server = Server(shown)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    shown.end()
    server.shutdown()
    server.server_close()


def ask(server, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.guard.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    named = {"Host": f"127.0.0.1:{server.guard.port}", **{name.replace("_", "-"): v for name, v in headers.items()}}
    for name, value in named.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def known(server):
    return {"Cookie": server.guard.cookie.partition(";")[0]}


def test_only_loopback_is_bound(server):
    listening = [c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [(a.ip, a.port) for a in listening if a.port == server.guard.port] == [("127.0.0.1", server.guard.port)]
    others = {a.address for own in psutil.net_if_addrs().values() for a in own if a.family == socket.AF_INET}
    for address in others - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.guard.port), 1).close()


def test_the_token_becomes_a_cookie_and_leaves_the_address(server):
    answer, _ = ask(server, server.guard.url.partition(str(server.guard.port))[2])
    assert answer.status == 303 and answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert server.guard.token in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    answer, body = ask(server, "/", Cookie=f"other=1; {cookie.partition(';')[0]}")
    assert answer.status == 200 and b"bbi watch" in body
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"] and "frame-ancestors 'none'" in str(
        answer.headers
    )
    for path in ("/", "/page/1", "/shell.js"):
        answer, _ = ask(server, path, **known(server))
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Access-Control-Allow-Origin"] is None


PATHS = ("/", "/page/1", "/events", "/shell.js", "/nothing")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": None},
        {"Cookie": "bbi-1=x"},
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": None},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_refused(server, path, headers):
    told = {name: value and value.format(port=server.guard.port) for name, value in headers.items()}
    answer, body = ask(server, path, **{**known(server), **told})
    assert answer.status == 403 and b"page" not in body.replace(b"other pages get no answer", b"")
    assert server.guard.token.encode() not in body + str(answer.headers).encode()


@pytest.mark.parametrize("token", ["", "x", "%C3%A4", "%00", "{token}x"])
def test_wrong_tokens(server, token):
    word = token.format(token=server.guard.token)
    for path, cookie in ((f"/?token={word}", None), ("/", f"bbi-{server.guard.port}={word}")):
        answer, _ = ask(server, path, Cookie=cookie)
        assert answer.status == 403 and "Set-Cookie" not in answer.headers


def test_its_own_names_and_origin(server):
    port = server.guard.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert ask(server, "/", Host=host, **known(server))[0].status == 200
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}
    assert ask(server, "/page/1", **own, **known(server))[0].status == 200


def test_nothing_else_is_answered(server):
    for method in ("PUT", "DELETE", "HEAD", "OPTIONS"):
        assert ask(server, "/", method, **known(server))[0].status == 501
    own = {"Origin": f"http://127.0.0.1:{server.guard.port}"}
    assert ask(server, "/", "POST", **known(server))[0].status == 403, "only the page itself adds to the text"
    assert ask(server, "/", "POST", **own, **known(server))[0].status == 404
    for path in ("/nothing", "/page", "/../pyproject.toml", "/shell.css/.."):
        assert ask(server, path, **known(server))[0].status == 404


def test_tokens_differ_and_are_long(server):
    other = Server(Shown())
    other.server_close()
    assert other.guard.token != server.guard.token and len(server.guard.token) >= 40
    assert server.guard.token not in repr(server.guard)


def test_the_stream_tells_what_is_new(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.guard.port, timeout=10)
    connection.request("GET", "/events", headers=known(server))
    stream = connection.getresponse()

    def event():
        line = stream.readline()
        assert stream.readline() == b"\n"
        return json.loads(line.removeprefix(b"data: "))

    assert event()["page"] == 1
    server.shown.icons({3: "data:,a"}, "making")
    assert event()["pictures"] == [[3, "data:,a"]]
    server.shown.icons({4: "data:,b"}, "making")
    assert event()["pictures"] == [[4, "data:,b"]], "what was told is not told again"
    server.shown.errors("error[E204]: <script>", "1 error")
    event_read = event()
    assert event_read["errors"] == "error[E204]: <script>" and event_read["page"] == 1 and not event_read["pictures"]
    server.shown.page(b"another", "made")
    event_read = event()
    assert (event_read["page"], event_read["errors"], event_read["pictures"]) == (2, "", [])
    late, _ = server.shown.state, server.shown.page(b"another", "the same")
    assert event()["page"] == late.page, "the same page is no new page"
    server.shown.end()
    assert event()["ended"] and stream.read() == b""
