'use strict';

const { Pool } = require('pg');
const { verdict } = require('./within');

const HEALTH_TIMEOUT_MS = 2000;

/** A pool whose lost connections are logged instead of ending the process. */
function createDatabase(config, log) {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    max: config.redisUrl ? config.poolMax : config.poolMax - 1,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30000,
    application_name: 'voicedrive-api',
  });
  pool.on('error', (error) => log.warn({ error: error.message }, 'database connection lost'));

  return {
    query: (text, values) => pool.query(text, values),
    health: () => verdict(HEALTH_TIMEOUT_MS, pool.query({ text: 'SELECT 1', query_timeout: HEALTH_TIMEOUT_MS })),
    end: () => pool.end(),
  };
}

module.exports = { createDatabase };
