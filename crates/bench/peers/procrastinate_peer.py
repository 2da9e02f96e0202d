"""Procrastinate: asynchronous workers, one query a job."""
import asyncio
import os
import sys

import procrastinate
import psycopg

import load

url = os.environ["PEER_DATABASE_URL"]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=20))
sync = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url, min_size=4, max_size=24))


@app.task(name="noop", queue="noop")
async def noop():
    pass


@sync.task(name="noop", queue="noop")
def noop_later():
    pass


async def work():
    async with app.open_async():
        await app.run_worker_async(queues=["noop"], concurrency=20, wait=True, install_signal_handlers=False)


def done(connection=[]):
    if not connection:
        connection.append(psycopg.connect(url, autocommit=True))
    return connection[0].execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'").fetchone()[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        asyncio.run(work())
    with sync.open():
        if sys.argv[1:] == ["submit"]:
            load.submitter(lambda: noop_later.defer())
        sync.schema_manager.apply_schema()
        load.measure(__file__, [[sys.executable, __file__, "worker"]] * 2, done, lambda: noop_later.defer())
