"""Who may ask. The server listens on loopback only, and that is not enough: every page in the reader's browser can
send requests there. So each must name this server (against DNS rebinding), come from its own page, and know the token.
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
    """The rules of one server. ``port`` is the one that it listens on."""

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
        """Why a request gets no answer; None where it may have one."""
        hosts = {f"{name}:{self.port}" for name in NAMES}
        if headers.get("Host", "").lower() not in hosts:
            return "this server answers to its own name only"
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
            return "other pages get no answer"
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "other sites get no answer"
        if not self._known(self.asked(target)) and not self._known(self._kept(headers.get("Cookie", ""))):
            return "open the address that `bbi watch` printed: it carries the token"
        return None

    def asked(self, target: str) -> str:
        """The token in the address; empty where there is none."""
        return parse_qs(urlsplit(target).query).get("token", [""])[0]

    def _kept(self, cookies: str) -> str:
        try:
            cookie = SimpleCookie(cookies).get(self._name)
        except CookieError:
            return ""
        return cookie.value if cookie is not None else ""

    def _known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode())
