"""Counts requests, for Prometheus."""
import threading
import time


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    def __init__(self):
        self.lock = threading.Lock()
        self.started = time.time()
        self.requests = {}
        self.seconds = 0.0

    def observe(self, method, status, seconds):
        # Clients do not make up names of ours.
        method = method if method in METHODS else "other"
        with self.lock:
            self.requests[method, status] = self.requests.get((method, status), 0) + 1
            self.seconds += seconds

    def render(self):
        with self.lock:
            requests, seconds = sorted(self.requests.items()), self.seconds
        lines = ["# HELP http_requests_total Requests answered.", "# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{method="{method}",status="{status}"}} {count}' for (method, status), count in requests]
        lines += [
            "# HELP http_request_duration_seconds Time spent answering.",
            "# TYPE http_request_duration_seconds summary",
            f"http_request_duration_seconds_sum {seconds:.6f}",
            f"http_request_duration_seconds_count {sum(count for _, count in requests)}",
            "# HELP process_start_time_seconds When the process started, in seconds since 1970.",
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self.started:.3f}",
        ]
        return "\n".join(lines) + "\n"
