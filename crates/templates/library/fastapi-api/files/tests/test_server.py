"""FastAPI and uvicorn, where they differ from what the other tests say."""
import socket
import unittest

from app.schema import RESOURCES
from tests.base import AppTest


class ConnectionTest(AppTest):
    def exchange(self, sent):
        """What comes back, until the connection ends."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(sent)
        return connection.makefile("rb").read()

    def head(self, *lines):
        login = [f"Authorization: Bearer {self.token}"] if self.token else []
        return "\r\n".join([f"POST {self.place(RESOURCES[0])} HTTP/1.1", "Host: a", "Connection: close", *login, *lines, "", ""]).encode()

    def test_what_is_no_request_is_refused(self):
        for request in (b"GET\r\n\r\n", b"G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            self.assertEqual(self.exchange(request).split()[1], b"400")
        self.assertEqual(self.exchange(b"BREW /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").split()[1], b"401" if self.token else b"405")

    def test_a_body_that_is_said_twice_is_refused_and_one_that_is_cut_off_makes_nothing(self):
        before = self.call("GET", self.place(RESOURCES[0]))
        for lines, status in ((["Content-Length: 2", "Transfer-Encoding: chunked"], b"411"), (["Content-Length: 2", "Content-Length: 1"], b"400")):
            self.assertEqual(self.exchange(self.head(*lines) + b"{}").split()[1], status)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(self.head("Content-Length: 50") + b"{}")
        self.assertEqual(self.call("GET", self.place(RESOURCES[0])), before)

    def test_a_refused_body_does_not_become_the_next_request(self):
        sent = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\nConnection: close\r\n\r\nGET /health HTTP/1.1\r\n\r\n        "
        self.assertEqual(self.exchange(sent).count(b"HTTP/1.1 "), 1)

    def test_only_json_is_taken_for_json(self):
        for kind, status in (("application/json", 422), ("application/merge-patch+json", 422), ("text/plain", 422)):
            answer = self.call("POST", self.place(RESOURCES[0]), {"no such field": 1}, {"Content-Type": kind})
            self.assertEqual(answer[0], status, answer)

    def test_the_document_is_shown_as_a_page(self):
        status, page = self.call("GET", "/docs")
        self.assertEqual(status, 200)
        self.assertIn("swagger", page.lower())


if __name__ == "__main__":
    unittest.main()
