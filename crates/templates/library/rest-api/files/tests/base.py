"""Starts the app in a fresh directory and calls it as its clients do."""
import contextlib
import http.client
import json
import tempfile
import threading
import unittest

from app.blocks import BLOCKS
from app.schema import PREFIX, RESOURCES, WRITABLE
from app.server import Server
from app.validation import check
from tests.examples import good

WITH_LOGIN = any(block.__name__ == "app.auth" for block in BLOCKS)
PASSWORD = "correct horse"


class AppTest(unittest.TestCase):
    token = None
    owner = None

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.start()
        if WITH_LOGIN:
            self.token = self.sign_in("ada@example.org")

    def start(self):
        self.server = Server(("127.0.0.1", 0), self.directory.name)
        self.application, self.port = self.server.application, self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()

        def stop():
            self.server.stop()
            thread.join()
            self.server.server_close()

        self.addCleanup(stop)

    def sign_in(self, email):
        """Signs up too; returns the token."""
        status, user = self.call("POST", "/users", {"email": email, "password": PASSWORD})
        self.assertEqual(status, 201, user)
        self.owner = user["id"]
        status, session = self.call("POST", "/sessions", {"email": email, "password": PASSWORD})
        self.assertEqual(status, 201, session)
        return session["token"]

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        login = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # Each connection that stays open keeps a thread of the server's.
        with contextlib.closing(connection):
            connection.request(method, path, data, {**login, **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
        self.headers = answer.headers
        kind = answer.headers.get("Content-Type") or ""
        if "json" in kind and data:
            return answer.status, json.loads(data)
        return answer.status, data.decode() if not data or "text" in kind else data

    def place(self, resource, number=None):
        return f"{PREFIX}/{resource.path}" + ("" if number is None else f"/{number}")

    def item(self, resource, choice=0):
        """One with every field; what it refers to is made."""
        return {field.name: self.made(field) if field.references else good(field, choice) for field in resource.fields}

    def made(self, field):
        target = next(other for other in RESOURCES if other.path == field.references)
        return self.make(target)["id"]

    def make(self, resource, choice=0):
        item = self.item(resource, choice)
        if not WRITABLE:
            return self.application.store.create(resource, self.owner, check(item, resource.fields))
        status, created = self.call("POST", self.place(resource), item)
        self.assertEqual(status, 201, created)
        return created
