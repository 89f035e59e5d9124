'use strict';

const pino = require('pino');

/** JSON lines on standard output: level by name, time in ISO format. */
function createLog(level = 'info', stream = undefined) {
  return pino(
    {
      level: level || 'info',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

module.exports = { createLog };
