// BullMQ on a Redis that syncs every write (appendfsync always).
import { fileURLToPath } from 'node:url';
import { Queue, Worker } from 'bullmq';
import { measure } from './load.mjs';

const connection = { host: '127.0.0.1', port: Number(process.env.PEER_REDIS_PORT) };
if (process.argv[2] === 'worker') {
  new Worker('noop', async () => {}, { connection: { ...connection, maxRetriesPerRequest: null }, concurrency: 200 });
} else {
  const queue = new Queue('noop', { connection });
  await measure({
    self: fileURLToPath(import.meta.url),
    prepare: () => queue.waitUntilReady(),
    submit: () => queue.add('noop', {}),
    done: () => queue.getCompletedCount(),
    close: () => queue.close(),
  });
}
