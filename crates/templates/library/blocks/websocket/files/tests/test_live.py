import json
import os
import socket
import unittest

from app.live import BEHIND_MOST, FRAME_MOST, Listeners, frame
from app.schema import RESOURCES, WRITABLE
from tests.base import PASSWORD, WITH_LOGIN, AppTest


class LiveTest(AppTest):
    def connect(self, **headers):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(connection.close)
        lines = {"Host": "app", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", **headers}
        if self.token:
            lines["Authorization"] = f"Bearer {self.token}"
        connection.sendall(("GET /live HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode())
        reader = connection.makefile("rb")
        self.addCleanup(reader.close)
        status = int(reader.readline().split()[1])
        answer = {}
        while line := reader.readline().strip():
            name, _, value = line.decode().partition(": ")
            answer[name] = value
        return connection, reader, status, answer

    def say(self, connection, kind, data=b"", masked=True):
        mask = os.urandom(4)
        head = bytes([0x80 | kind, (0x80 if masked else 0) | len(data)]) if len(data) < 126 else bytes([0x80 | kind, 0xFE]) + len(data).to_bytes(2, "big")
        connection.sendall(head + (mask if masked else b"") + bytes(byte ^ mask[at % 4] if masked else byte for at, byte in enumerate(data)))

    def hear(self, reader):
        first, length = reader.read(2)
        if length == 126:
            length = int.from_bytes(reader.read(2), "big")
        return first & 0x0F, reader.read(length)

    @unittest.skipUnless(WRITABLE, "clients only read")
    def test_whoever_is_connected_hears_of_every_change(self):
        _, reader, status, answer = self.connect()
        self.assertEqual((status, answer["Sec-WebSocket-Accept"]), (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        resource = RESOURCES[-1]
        for other in RESOURCES:
            if not any(field.references for field in other.fields):
                resource = other
        made = self.make(resource)
        self.call("PATCH", self.place(resource, made["id"]), {})
        self.call("DELETE", self.place(resource, made["id"]))
        events = [json.loads(self.hear(reader)[1]) for _ in range(3)]
        self.assertEqual([event["event"] for event in events], ["created", "changed", "deleted"])
        self.assertEqual((events[0]["item"], events[2]["item"], events[2]["id"]), (made, None, made["id"]))

    def test_pings_are_answered_and_the_end_is_polite(self):
        connection, reader, _, _ = self.connect()
        self.say(connection, 0x9, b"hello")
        self.assertEqual(self.hear(reader), (0xA, b"hello"))
        self.say(connection, 0x1, b"x" * 200)
        self.say(connection, 0x8, b"\x03\xe8bye")
        self.assertEqual(self.hear(reader), (0x8, b"\x03\xe8"))
        self.assertEqual(reader.read(), b"")

    def test_who_breaks_the_protocol_is_cut_off(self):
        for data, masked in ((b"x", False), (b"x" * (FRAME_MOST + 1), True)):
            connection, reader, _, _ = self.connect()
            self.say(connection, 0x1, data, masked)
            self.assertEqual(self.hear(reader)[0], 0x8)

    def test_who_is_behind_is_cut_off_and_the_end_is_told(self):
        listeners = Listeners()
        inbox, other = listeners.add(None), listeners.add(1)
        for _ in range(BEHIND_MOST + 1):
            listeners.tell(None, b"x")
        self.assertNotIn(inbox, listeners.queues)
        listeners.end()
        self.assertEqual((other.get_nowait()[0], inbox.qsize()), (0x8, BEHIND_MOST))

    @unittest.skipUnless(WITH_LOGIN, "nobody signs in")
    def test_who_signs_out_hears_nothing_more(self):
        _, reader, _, _ = self.connect()
        first, self.token = self.token, self.call("POST", "/sessions", {"email": "ada@example.org", "password": PASSWORD})[1]["token"]
        _, other, _, _ = self.connect()
        self.token = first
        self.assertEqual(self.call("DELETE", "/sessions/current")[0], 204)
        self.assertEqual(self.hear(reader), (0x8, b"\x03\xf0"))
        self.application.listeners.tell(self.owner, b"still here")
        self.assertEqual(self.hear(other), (0x1, b"still here"))

    def test_other_requests_are_told_how(self):
        self.assertEqual(self.call("GET", "/live")[0], 426)
        self.assertEqual(self.connect(**{"Sec-WebSocket-Version": "12"})[2], 426)

    def test_long_frames_have_long_heads(self):
        self.assertEqual((frame(1, b"x" * 125)[1], frame(1, b"x" * 126)[1], frame(1, b"x" * 70_000)[1]), (125, 126, 127))

    @unittest.skipUnless(WRITABLE, "clients only read")
    def test_long_texts_arrive_whole(self):
        _, reader, _, _ = self.connect()
        self.application.listeners.tell(self.owner, b"y" * 300)
        self.assertEqual(self.hear(reader), (0x1, b"y" * 300))


if __name__ == "__main__":
    unittest.main()
