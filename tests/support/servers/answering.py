"""A server of this process, in threads of its own, with one answer to everything: what was last set."""

from __future__ import annotations

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from tests.support.certificates import own_certificate

if TYPE_CHECKING:
    from pathlib import Path

_METHODS = ("GET", "PUT", "POST", "HEAD", "DELETE", "CONNECT")


class Answering:
    """At ``host`` it speaks plain HTTP, at ``tls_host`` TLS with a certificate that nobody trusts."""

    def __init__(self, folder: Path) -> None:
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        handler = self._handler()
        self._plain = _QuietServer(("127.0.0.1", 0), handler)
        self._tls = _QuietServer(("127.0.0.1", 0), handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(own_certificate(folder))
        self._tls.socket = context.wrap_socket(self._tls.socket, server_side=True)
        self.host = f"127.0.0.1:{self._plain.server_port}"
        self.tls_host = f"localhost:{self._tls.server_port}"
        for server in (self._plain, self._tls):
            Thread(target=server.serve_forever, daemon=True).start()

    def set(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from here on. A header's name has ``_`` for ``-``."""
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def set_s3(self, status: int, code: str, more: str = "", **headers: str) -> None:
        """Refuse as S3 does."""
        body = f"<Error><Code>{code}</Code><Message>as it is said</Message>{more}</Error>"
        self.set(status, body.encode(), Content_Type="application/xml", **headers)

    def close(self) -> None:
        for server in (self._plain, self._tls):
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(outer.status)
                own = {"Content-Length": str(len(outer.body)), "Connection": "close"}
                for name, value in (outer.headers | own).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        for method in _METHODS:
            setattr(Handler, f"do_{method}", Handler.answer)
        return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that breaks off is no news."""
