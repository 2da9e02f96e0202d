"""HTTP: uvicorn, and the socket it listens on."""
import contextlib
import socket
import threading

import uvicorn

from app.application import Application
from app.asgi import create

# What is being answered when it is told to stop may take this long.
DRAIN_S = 20


class Server(uvicorn.Server):
    def __init__(self, address, directory):
        self.application, self.ended = Application(directory), threading.Event()
        self.socket = socket.create_server(address, backlog=128)
        self.server_address = self.socket.getsockname()
        settings = {"http": "h11", "ws": "none", "lifespan": "off", "server_header": False, "log_config": None, "access_log": False}
        super().__init__(uvicorn.Config(create(self.application), timeout_keep_alive=30, timeout_graceful_shutdown=DRAIN_S, **settings))

    def capture_signals(self):
        """They are the process's."""
        return contextlib.nullcontext()

    def serve_forever(self, poll_interval=None):
        self.run(sockets=[self.socket])
        self.ended.set()

    def stop(self):
        """Says that it is not ready, takes no more connections, and lets what is being answered end."""
        self.application.ready, self.should_exit = False, True
        self.ended.wait(DRAIN_S + 1)

    def server_close(self):
        self.socket.close()
        self.application.close()
