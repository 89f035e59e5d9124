'use strict';

const pino = require('pino');

/** One JSON line per event on stdout: time, level, msg and what belongs to the event. */
function createLog(level = 'info', stream = undefined) {
  return pino(
    {
      level: level || 'info',
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

/** Logs every request when its answer is through: neither query strings, nor headers, nor bodies. */
function logRequests(log) {
  return (request, response, next) => {
    const start = process.hrtime.bigint();
    const path = request.path; // routers shorten it on the way
    response.on('close', () => {
      const ms = Number((process.hrtime.bigint() - start) / 1000n) / 1000;
      const level = response.statusCode >= 500 ? 'error' : 'info';
      log[level]({ method: request.method, path, status: response.statusCode, ms }, 'request');
    });
    next();
  };
}

module.exports = { createLog, logRequests };
