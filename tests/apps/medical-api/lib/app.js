'use strict';

const express = require('express');
const jwt = require('jsonwebtoken');
const { claimsOf, requireToken } = require('./auth');
const { crud } = require('./crud');
const { logRequests } = require('./log');
const resources = require('./resources');

// What PostgreSQL refuses and a client can mend. https://www.postgresql.org/docs/current/errcodes-appendix.html
const CLIENT_ERRORS = {
  22008: [422, 'a date or time is out of range'],
  23502: [422, 'a required value is missing'],
  23503: [409, 'it refers to an entry that does not exist, or another entry refers to it'],
  23505: [409, 'such an entry exists already'],
  23514: [422, 'a value is out of its range'],
};

function createApp({ config, database, log, release }) {
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', 'loopback');
  app.use(logRequests(log));

  app.get('/health', async (request, response) => {
    const health = await database.health();
    response.set('Cache-Control', 'no-store');
    response.status(health.ok ? 200 : 503).json({
      status: health.ok ? 'ok' : 'unavailable',
      commit: release.commit,
      release: release.id,
      uptime_s: Math.floor(process.uptime()),
      database: health.ok ? 'ok' : health.reason,
    });
  });

  // Does what the list of the staff does, and shows nothing of it. No route of the web server leads here.
  const authorization = `Bearer ${jwt.sign({ sub: 'warm-up' }, config.jwtSecret, { algorithm: 'HS256' })}`;
  app.get('/warm-up', async (request, response) => {
    const [{ name, orderBy }] = resources;
    claimsOf({ headers: { authorization } }, config.jwtSecret);
    const { rows } = await database.query(`SELECT * FROM ${name} ORDER BY ${orderBy} LIMIT 100 OFFSET $1`, [0]);
    response.json({ status: 'warm', bytes: JSON.stringify(rows).length });
  });

  app.use('/api/medical', requireToken(config.jwtSecret), express.json({ limit: '100kb' }));
  for (const resource of resources) app.use(`/api/medical/${resource.name}`, crud(resource, database));

  app.use((request, response) => response.status(404).json({ error: 'not found' }));

  // Express knows an error handler by its four arguments.
  app.use((error, request, response, _next) => {
    const [status, message] = CLIENT_ERRORS[error.code] || [];
    if (status) return response.status(status).json({ error: message, constraint: error.constraint });
    if (error.status >= 400 && error.status < 500) {
      return response.status(error.status).json({ error: 'the request is not valid', details: [error.message] });
    }
    log.error({ method: request.method, path: request.path, code: error.code, error: error.message }, 'failed');
    return response.status(500).json({ error: 'internal error' });
  });

  return app;
}

module.exports = { createApp };
