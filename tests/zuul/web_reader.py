"""The part of zuul-web that reads logs from gateways, with Zuul's own `LogStreamer` and `StreamManager`.

It must never read a socket itself: what Zuul's reader does not see, the browser does not get. Only the WebSocket is
a stand-in, which keeps what the browser would have been sent.
"""

import logging
import sys
import threading
from types import SimpleNamespace

from zuul.web import LogStreamer, StreamManager

import steering

browsers = {}


class Browser:
    """A WebSocket as `LogStreamer` uses it."""

    log = logging.getLogger("zuul.web")

    def __init__(self):
        self.changed = threading.Condition()
        self.text = ""
        self.end = None

    def send(self, text, binary):
        with self.changed:
            self.text += text
            self.changed.notify_all()

    def logClose(self, code, reason):
        with self.changed:
            self.end = {"code": code, "reason": reason}
            self.changed.notify_all()

    def until(self, enough, seconds):
        with self.changed:
            if not self.changed.wait_for(enough, seconds):
                raise TimeoutError(f"after {seconds} s the browser has {len(self.text)} characters, end: {self.end}")
            return {"text": self.text, "end": self.end}


def watch(name, server, port, uuid, tls):
    """Opens a stream for a browser, whose later name is `name`."""
    browsers[name] = Browser()
    LogStreamer(web, browsers[name], server, port, uuid, tls)


def await_text(name, length, seconds=20):
    """Waits until the browser has at least so many characters."""
    browser = browsers[name]
    return browser.until(lambda: len(browser.text) >= length, seconds)


def await_end(name, seconds=20):
    """Waits until zuul-web closed the browser's WebSocket."""
    browser = browsers[name]
    return browser.until(lambda: browser.end is not None, seconds)


if __name__ == "__main__":
    cert, key, ca = sys.argv[1:4] if len(sys.argv) > 1 else (None, None, None)
    gauge = SimpleNamespace(set=lambda value: None)
    manager = StreamManager(None, SimpleNamespace(streamers=gauge))
    manager.start()
    web = SimpleNamespace(stream_manager=manager, finger_tls_cert=cert, finger_tls_key=key, finger_tls_ca=ca,
                          finger_tls_verify_hostnames=True)
    steering.serve({"watch": watch, "await_text": await_text, "await_end": await_end})
