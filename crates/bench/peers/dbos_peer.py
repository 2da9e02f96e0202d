"""DBOS: workflows enqueued on a durable queue by clients, run by two other processes."""
import os
import sys
import time

import psycopg
from dbos import DBOS, DBOSClient

import load

url = os.environ["PEER_DATABASE_URL"].replace("postgres://", "postgresql://")


@DBOS.workflow(name="noop")
def noop():
    pass


def client():
    return DBOSClient(system_database_url=url)


def done(connection=[]):
    if not connection:
        connection.append(psycopg.connect(url, autocommit=True))
    return connection[0].execute("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'").fetchone()[0]


def launch():
    DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR", "application_version": "1", "executor_id": str(os.getpid())})
    DBOS.launch()
    DBOS.register_queue("noop", polling_interval_sec=0.1)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        launch()
        time.sleep(10_000)
    if sys.argv[1:] == ["prepare"]:
        launch()
        os._exit(0)
    options = {"queue_name": "noop", "workflow_name": "noop", "app_version": "1"}
    if sys.argv[1:] == ["submit"]:
        enqueuing = client()
        load.submitter(lambda: enqueuing.enqueue(options))
    os.spawnl(os.P_WAIT, sys.executable, sys.executable, __file__, "prepare")
    enqueuing = client()
    load.measure(__file__, [[sys.executable, __file__, "worker"]] * 2, done, lambda: enqueuing.enqueue(options))
