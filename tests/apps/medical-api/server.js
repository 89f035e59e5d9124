'use strict';

// Starts the HTTP server and stops it without cutting anybody off.

const path = require('node:path');

require('dotenv').config({ path: path.join(__dirname, '.env'), quiet: true });

const http = require('node:http');
const { createApp } = require('./lib/app');
const { readConfig } = require('./lib/config');
const { createDatabase } = require('./lib/database');
const { createEcho } = require('./lib/echo');
const { createLog } = require('./lib/log');
const { readRelease } = require('./lib/release');

const STOP_WITHIN_MS = 9000; // PM2 and systemd kill after ten seconds

function main() {
  const log = createLog(process.env.LOG_LEVEL);
  const config = readConfig(process.env);
  const database = createDatabase(config, log);
  const release = readRelease(__dirname);
  const server = http.createServer(createApp({ config, database, log, release }));
  const echo = createEcho(server, config, log);
  let stopping = false;

  async function stop(signal) {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.warn('stopped with requests unfinished');
      process.exit(0);
    }, STOP_WITHIN_MS);
    const closed = new Promise((resolve) => server.close(resolve));
    echo.stop();
    server.closeIdleConnections();
    await closed;
    await database.end();
    log.info('stopped');
    process.exit(0);
  }

  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  server.on('error', (error) => {
    log.fatal({ error: error.message }, 'cannot listen');
    process.exit(1);
  });
  server.listen(config.port, config.host, () => {
    log.info({ host: config.host, port: config.port, release: release.id, commit: release.commit }, 'listening');
    if (process.send) process.send('ready'); // PM2's wait_ready
  });
}

try {
  main();
} catch (error) {
  process.stderr.write(`medical-api: ${error.message}\n`);
  process.exit(1);
}
