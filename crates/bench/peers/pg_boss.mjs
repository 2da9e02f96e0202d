// pg-boss: workers take batches and complete them at once.
import { fileURLToPath } from 'node:url';
import { PgBoss } from 'pg-boss';
import pg from 'pg';
import { measure } from './load.mjs';

const connectionString = process.env.PEER_DATABASE_URL, queue = 'noop';
if (process.argv[2] === 'worker') {
  const boss = new PgBoss({ connectionString, max: 10, supervise: false, schedule: false });
  await boss.start();
  for (let i = 0; i < 4; i++) await boss.work(queue, { batchSize: 500, pollingIntervalSeconds: 0.5 }, async () => {});
} else {
  const pool = new pg.Pool({ connectionString, max: 2 });
  const boss = new PgBoss({ connectionString, max: 24 });
  await measure({
    self: fileURLToPath(import.meta.url),
    prepare: async () => {
      await boss.start();
      await boss.createQueue(queue);
    },
    submit: () => boss.send(queue, {}),
    done: async () => Number((await pool.query("SELECT count(*) FROM pgboss.job WHERE name = $1 AND state = 'completed'", [queue])).rows[0].count),
    close: () => pool.end(),
  });
}
