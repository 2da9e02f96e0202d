"""The process, from its start to its end."""
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from app.process import main
from tests.base import AppTest


class StopTest(AppTest):
    def test_what_is_being_answered_is_answered_before_it_stops(self):
        answers, begun, health = [], threading.Event(), self.application.store.check

        def slow():
            begun.set()
            time.sleep(0.3)
            health()

        self.application.store.check = slow
        client = threading.Thread(target=lambda: answers.append(self.call("GET", "/health")))
        client.start()
        begun.wait(5)
        self.server.stop()
        client.join()
        self.assertEqual(answers[0][0], 503, "it is not ready for more by then")


class ProcessTest(unittest.TestCase):
    def test_it_serves_until_it_is_told_to_stop(self):
        with tempfile.TemporaryDirectory() as directory:
            environment = {**os.environ, "PORT": "0", "DATA_DIR": directory}
            process = subprocess.Popen([sys.executable, "-m", "app"], env=environment, stderr=subprocess.PIPE, text=True)
            line = process.stderr.readline()
            port = int(line.rsplit(":", 1)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/health", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
            self.assertEqual(connection.getresponse().read(), b'{"status": "ok"}')
            connection.close()
            process.send_signal(signal.SIGTERM)
            self.assertIn("0af7651916cd43dd8448eb211c80319c", process.stderr.read())
            process.stderr.close()
            self.assertEqual(process.wait(10), 0)

    def test_main_serves_and_stops(self):
        with tempfile.TemporaryDirectory() as directory:
            timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
            timer.start()
            self.assertEqual(main({"PORT": "0", "DATA_DIR": directory}), 0)

    def test_bad_settings_are_named(self):
        self.assertEqual(main({"PORT": "x"}), 2)
        with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as directory:
            self.assertEqual(main({"PORT": str(taken.getsockname()[1]), "DATA_DIR": directory}), 1)


if __name__ == "__main__":
    unittest.main()
