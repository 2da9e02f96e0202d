"""Celery on RabbitMQ with confirmed publishing, results in PostgreSQL."""
import os
import sys

import psycopg
from celery import Celery
from kombu import Queue

import load

url = os.environ["PEER_DATABASE_URL"]
# Of this run alone: what an earlier one left is not counted.
queue = "titan-bench-celery-" + os.environ["PEER_DATABASE_URL"].rsplit("_", 1)[-1]
app = Celery("celery_peer", broker=os.environ["PEER_AMQP_URL"], backend="db+" + url.replace("postgres://", "postgresql://"))
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    worker_prefetch_multiplier=64,
    task_queues=[Queue(queue, durable=True, queue_arguments={"x-expires": 300_000})],
    task_default_queue=queue,
    database_short_lived_sessions=False,
    broker_pool_limit=64,
)


@app.task
def noop():
    return None


def done(connection=[]):
    if not connection:
        connection.append(psycopg.connect(url, autocommit=True))
    if connection[0].execute("SELECT to_regclass('celery_taskmeta')").fetchone()[0] is None:
        return 0
    return connection[0].execute("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'").fetchone()[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["submit"]:
        load.submitter(lambda: noop.delay())
    command = [sys.executable, "-m", "celery", "-A", "celery_peer", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    load.measure(__file__, [[*command, "-n", f"{name}@bench"] for name in ("a", "b")], done, lambda: noop.delay())
