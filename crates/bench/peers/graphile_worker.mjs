// graphile-worker with its local queue and batched completion; a job that is done is deleted, so the tasks count themselves.
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { makeWorkerUtils, run, runMigrations } from 'graphile-worker';
import { measure } from './load.mjs';

const connectionString = process.env.PEER_DATABASE_URL;
if (process.argv[2] === 'worker') {
  const preset = { worker: { connectionString, maxPoolSize: 24, concurrentJobs: 24, pollInterval: 1000, localQueue: { size: 500 }, completeJobBatchDelay: 5, failJobBatchDelay: 5 } };
  await run({ preset, taskList: { noop: async () => {} } });
} else {
  const pool = new pg.Pool({ connectionString, max: 24 });
  let utils, submitted = 0;
  await measure({
    self: fileURLToPath(import.meta.url),
    prepare: async () => {
      await runMigrations({ connectionString });
      utils = await makeWorkerUtils({ pgPool: pool });
    },
    submit: async () => {
      await utils.addJob('noop', {});
      submitted++;
    },
    done: async () => submitted - Number((await pool.query('SELECT count(*) FROM graphile_worker._private_jobs')).rows[0].count),
    close: () => pool.end(),
  });
}
