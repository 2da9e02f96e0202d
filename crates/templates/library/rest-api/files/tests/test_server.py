"""Connections, as they come."""
import socket
import unittest

from app.schema import RESOURCES, WRITABLE
from tests.base import AppTest


class ConnectionTest(AppTest):
    def test_a_refused_body_does_not_become_the_next_request(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /health HTTP/1.1\r\n\r\n        ")
        answers = b""
        while chunk := connection.recv(4096):
            answers += chunk
        self.assertEqual(answers.count(b"HTTP/1.1 "), 1)

    def test_what_is_no_request_is_refused_in_json(self):
        for request in (b"BREW /health HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\0\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n"):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            self.addCleanup(connection.close)
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read()
            self.assertRegex(answer, rb'"error": {"code": "')
            self.assertIn(answer.split()[1], (b"400", b"401", b"405", b"431"))

    def test_a_body_that_is_cut_off_or_said_twice_is_refused(self):
        place = self.place(RESOURCES[0]).encode()
        login = f"Authorization: Bearer {self.token}\r\n".encode() if self.token else b""
        for head, status in ((b"Content-Length: 50\r\n", b"400"), (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"411"), (b"Content-Length: 2\r\nContent-Length: 1\r\n", b"411"), (b"Content-Length: abc\r\n", b"411")):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            self.addCleanup(connection.close)
            connection.sendall(b"POST " + place + b" HTTP/1.1\r\nHost: a\r\n" + login + head + b"\r\n{}")
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.makefile("rb").readline().split()[1], status if WRITABLE else b"405")


if __name__ == "__main__":
    unittest.main()
