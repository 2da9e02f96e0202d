// The load every Node peer gets: single submissions by many clients, each waiting for its acknowledgement; two worker processes.
import { spawn } from 'node:child_process';

export async function measure({ self, prepare, submit, done, close }) {
  const seconds = Number(process.env.PEER_SECONDS), clients = Number(process.env.PEER_CLIENTS);
  await prepare();
  const workers = [1, 2].map(() => spawn(process.execPath, [self, 'worker'], { stdio: ['ignore', 'ignore', 'inherit'] }));
  await warm(submit, done);
  const began = Date.now(), until = began + seconds * 1000;
  let submitted = 0;
  const client = async () => {
    while (Date.now() < until) {
      await submit();
      submitted++;
    }
  };
  const known = await done();
  await Promise.all(Array.from({ length: clients }, client));
  const finished = await drained(done, known + submitted);
  const took = (Date.now() - began) / 1000;
  for (const worker of workers) worker.kill('SIGKILL');
  await close();
  console.log(JSON.stringify({ submitted, done: finished - known, seconds: took, tasks_per_s: (finished - known) / took }));
  process.exit(0);
}

async function warm(submit, done) {
  await Promise.all(Array.from({ length: 50 }, submit));
  await drained(done, 50);
}

async function drained(done, expected) {
  for (const until = Date.now() + 120_000; Date.now() < until; ) {
    const now = await done();
    if (now >= expected) return now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return done();
}
