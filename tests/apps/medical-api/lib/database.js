'use strict';

const { Pool, types } = require('pg');

const HEALTH_TIMEOUT_MS = 2000;
const DATE = 1082;
const NUMERIC = 1700;

types.setTypeParser(DATE, (text) => text); // a date has no time zone: leave it the text that it is
types.setTypeParser(NUMERIC, Number); // scores have four digits: nothing is lost

/** A pool whose lost connections are logged instead of ending the process. */
function createDatabase(config, log) {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    max: config.poolMax,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30000,
    application_name: 'medical-api',
  });
  pool.on('error', (error) => log.warn({ error: error.message }, 'database connection lost'));

  /** Resolves to {ok: true} or {ok: false, reason}; never waits longer than two seconds. */
  async function health() {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${HEALTH_TIMEOUT_MS} ms`)), HEALTH_TIMEOUT_MS);
    });
    try {
      await Promise.race([pool.query({ text: 'SELECT 1', query_timeout: HEALTH_TIMEOUT_MS }), late]);
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: error.message || error.code };
    } finally {
      clearTimeout(timer);
    }
  }

  return { query: (text, values) => pool.query(text, values), health, end: () => pool.end() };
}

module.exports = { createDatabase };
