"""Authorize requests. Listening on loopback only is not enough, because any page in the user's browser can send
requests there. So each request must name this server (against DNS rebinding), come from its own page, and carry the
token.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")


@dataclass(frozen=True)
class Guard:
    """The access rules of one server. ``port``: that it listens on."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """What the browser keeps: not for scripts, not sent along from other sites. It is named after the port, since
        browsers share cookies between ports."""
        return f"{self._name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    @property
    def _name(self) -> str:
        return f"bbi-{self.port}"

    def refused(self, target: str, headers: Message | Mapping[str, str]) -> str | None:
        """Return why a request is refused, or None if it is allowed."""
        hosts = {f"{name}:{self.port}" for name in NAMES}
        if headers.get("Host", "").lower() not in hosts:
            return "this server answers to its own name only"
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
            return "other pages get no answer"
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "other sites get no answer"
        if not self._known(self.token_in(target)) and not self._known(self._cookie_token(headers.get("Cookie", ""))):
            return "open the address that `bbi watch` printed: it carries the token"
        return None

    def token_in(self, target: str) -> str:
        """Return the token in the address, or ""."""
        return parse_qs(urlsplit(target).query).get("token", [""])[0]

    def _cookie_token(self, cookies: str) -> str:
        try:
            cookie = SimpleCookie(cookies).get(self._name)
        except CookieError:
            return ""
        return cookie.value if cookie is not None else ""

    def _known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode())
