'use strict';

const { Redis } = require('ioredis');
const { verdict } = require('./within');

const HEALTH_TIMEOUT_MS = 2000;

/** Two connections, as one that subscribes can do nothing else. Both come back by themselves after an outage. */
function createRedis(config, log) {
  const options = {
    connectTimeout: 5000,
    enableOfflineQueue: false, // without Redis an answer comes from the database, not late
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2000),
    connectionName: 'voicedrive-api',
  };
  const commands = new Redis(config.redisUrl, options);
  const subscriber = new Redis(config.redisUrl, { ...options, enableOfflineQueue: true, maxRetriesPerRequest: null });
  for (const connection of [commands, subscriber]) {
    connection.on('error', (error) => log.warn({ error: error.message }, 'redis connection lost'));
  }

  async function health() {
    if (subscriber.status !== 'ready') return { ok: false, reason: `the feed's connection is ${subscriber.status}` };
    return verdict(HEALTH_TIMEOUT_MS, commands.ping());
  }

  function end() {
    for (const connection of [commands, subscriber]) connection.disconnect();
  }

  return { commands, subscriber, health, end };
}

module.exports = { createRedis };
