'use strict';

// Starts the HTTP server and stops it without cutting anybody off. Any number of processes may share the port (PM2's cluster mode).

const path = require('node:path');

require('dotenv').config({ path: path.join(__dirname, '.env'), quiet: true });

const { createPostgresBus, createRedisBus } = require('./lib/bus');
const { readConfig } = require('./lib/config');
const { createDatabase } = require('./lib/database');
const { createLog } = require('./lib/log');
const { createRedis } = require('./lib/redis');
const { readRelease } = require('./lib/release');
const { createService } = require('./lib/service');

const STOP_WITHIN_MS = 9000; // PM2 and systemd kill after ten seconds

function main() {
  const log = createLog(process.env.LOG_LEVEL);
  const config = readConfig(process.env);
  const release = readRelease(__dirname);
  const database = createDatabase(config, log);
  const redis = config.redisUrl ? createRedis(config, log) : null;
  const bus = redis ? createRedisBus(redis, log) : createPostgresBus(config, database, log);
  const service = createService({ config, database, bus, redis, release, log });
  let stopping = false;

  async function stop(signal) {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.warn('stopped with requests unfinished');
      process.exit(0);
    }, STOP_WITHIN_MS);
    await service.stop();
    await bus.end();
    await database.end();
    log.info('stopped');
    process.exit(0);
  }

  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  service.server.on('error', (error) => {
    log.fatal({ error: error.message }, 'cannot listen');
    process.exit(1);
  });
  service.server.listen(config.port, config.host, () => {
    log.info({ host: config.host, port: config.port, release: release.id, feed: bus.kind }, 'listening');
    if (process.send) process.send('ready'); // PM2's wait_ready
  });
}

try {
  main();
} catch (error) {
  process.stderr.write(`voicedrive-api: ${error.message}\n`);
  process.exit(1);
}
