"""A file server on this machine, for tests of downloads."""

import http.server
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any


def serve(content: bytes, name: str) -> Iterator[Any]:
    """Serve one file from this machine, with ranges; ``break_after`` cuts the next answer short."""
    state = SimpleNamespace(
        content=content, tag='"one"', break_after=None, ranges=[], status=None, length=True, extra={}
    )
    state.last = state.range = None

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            state.last = dict(self.headers)
            if state.status:
                self.send_response(state.status)
                for name, value in state.extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if asked and self.headers.get("If-Range") == state.tag:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                end = len(state.content) - 1
                self.send_header("Content-Range", state.range or f"bytes {start}-{end}/{end + 1}")
            else:
                self.send_response(200)
            body = state.content[start:]
            for name, value in state.extra.items():
                self.send_header(name, value)
            self.send_header("ETag", state.tag)
            if state.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.break_after is not None:
                body, state.break_after = body[: state.break_after], None
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{web.server_port}/{name}"
    yield state
    web.shutdown()
    web.server_close()
