"""Live updates over WebSocket (RFC 6455): whoever is connected to `/live` hears of every change, as one JSON text each."""
import base64
import hashlib
import json
import queue
import struct
import threading

from app.errors import HttpError
from app.messages import Answer
from app.operations import operation

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Somebody who does not read is cut off behind so many.
BEHIND_MOST = 1000
FRAME_MOST = 4096
PING_S = 20
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
KINDS = (0x0, TEXT, 0x2, CLOSE, PING, PONG)


class Listeners:
    def __init__(self):
        self.lock, self.queues = threading.Lock(), {}

    def add(self, owner, session=None):
        inbox = queue.Queue(BEHIND_MOST)
        with self.lock:
            self.queues[inbox] = owner, session
        return inbox

    def remove(self, inbox):
        with self.lock:
            self.queues.pop(inbox, None)

    def tell(self, owner, text):
        with self.lock:
            waiting = [inbox for inbox, (of, _) in self.queues.items() if of == owner]
        for inbox in waiting:
            try:
                inbox.put_nowait((TEXT, text))
            except queue.Full:
                self.remove(inbox)

    def end(self, code=1001, session=None):
        """All of them, or those of a session that is over."""
        with self.lock:
            waiting = [inbox for inbox, (_, of) in self.queues.items() if session is None or of == session]
            for inbox in waiting:
                del self.queues[inbox]
        for inbox in waiting:
            try:
                inbox.put_nowait((CLOSE, struct.pack("!H", code)))
            except queue.Full:
                pass  # It was cut off already.


def started(application):
    application.listeners = Listeners()


def stopping(application):
    application.listeners.end()


def signed_out(application, session):
    application.listeners.end(1008, session)


def changed(application, what, resource, item):
    owner = item["owner"]
    shown = {name: value for name, value in item.items() if name != "owner"}
    event = {"event": what, "resource": resource.path, "id": item["id"], "item": None if what == "deleted" else shown}
    application.listeners.tell(owner, json.dumps(event, ensure_ascii=False).encode())


def routes(application):
    def connect(request, match):
        key = request.headers.get("Sec-WebSocket-Key", "")
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket" and "upgrade" in request.headers.get("Connection", "").lower()
        if not upgrade or not key:
            raise HttpError(426, "upgrade_required", "connect by WebSocket", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        origin = request.headers.get("Origin")
        if getattr(request, "by_cookie", False) and origin and origin.partition("://")[2] != request.headers.get("X-Forwarded-Host", request.headers.get("Host")):
            raise HttpError(403, "forbidden", "another site's page may not listen")
        if request.headers.get("Sec-WebSocket-Version") != "13":
            raise HttpError(426, "upgrade_required", "WebSocket version 13 is needed", headers={"Sec-WebSocket-Version": "13"})
        accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC, usedforsecurity=False).digest()).decode()
        inbox = application.listeners.add(request.owner, request.session)
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        return Answer(101, headers=headers, upgrade=lambda connection, reader: serve(application, inbox, connection, reader))

    return [("GET", "/live", connect)]


def serve(application, inbox, connection, reader):
    """Until either side ends it."""
    # Who takes nothing for so long is gone.
    connection.settimeout(3 * PING_S)
    hearing = threading.Thread(target=hear, args=(inbox, reader), daemon=True)
    hearing.start()
    try:
        while True:
            try:
                kind, data = inbox.get(timeout=PING_S)
            except queue.Empty:
                kind, data = PING, b""
            connection.sendall(frame(kind, data))
            if kind == CLOSE or (inbox not in application.listeners.queues and inbox.empty()):
                return
    except OSError:
        pass  # It is gone.
    finally:
        application.listeners.remove(inbox)


def frame(kind, data):
    length = len(data)
    if length < 126:
        return bytes([0x80 | kind, length]) + data
    if length < 1 << 16:
        return bytes([0x80 | kind, 126]) + struct.pack("!H", length) + data
    return bytes([0x80 | kind, 127]) + struct.pack("!Q", length) + data


def hear(inbox, reader):
    """Answers pings and the end; what else is said is nobody's."""
    try:
        while True:
            first, second = take(reader, 2)
            kind, length = first & 0x0F, second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", take(reader, 2))
            elif length == 127:
                (length,) = struct.unpack("!Q", take(reader, 8))
            control = kind >= CLOSE
            wrong = not second & 0x80 or first & 0x70 or kind not in KINDS or (control and (length > 125 or not first & 0x80))
            if wrong or length > FRAME_MOST:
                inbox.put((CLOSE, struct.pack("!H", 1002 if wrong else 1009)))
                return
            mask = take(reader, 4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(take(reader, length)))
            if kind == CLOSE:
                inbox.put((CLOSE, data[:2] if len(data) > 1 else b""))
                return
            if kind == PING:
                inbox.put((PONG, data))
    except (OSError, ValueError, EOFError):
        inbox.put((CLOSE, b""))


def take(reader, count):
    data = reader.read(count)
    if len(data) < count:
        raise EOFError
    return data


def describe(document):
    get = operation("Live updates over WebSocket: {event, resource, id, item}", {"426": "Error"})
    get["responses"]["101"] = {"description": "Connected"}
    document["paths"]["/live"] = {"get": get}
