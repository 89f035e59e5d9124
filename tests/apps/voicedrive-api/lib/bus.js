'use strict';

// Carries the news from the process that made it to all processes, its own included: what it is and its id.
// A bus: publish(event), subscribe(listener), health(), end(). What is published while nobody is connected is lost.

const { Client } = require('pg');

const REDIS_CHANNEL = 'social:feed';
const POSTGRES_CHANNEL = 'social_feed';
const RECONNECT_MS = 1000;

/** Others may write to the channel too: what is no event is dropped. */
function parse(message) {
  try {
    const { type, id } = JSON.parse(message);
    return ['post', 'comment'].includes(type) && Number.isInteger(id) ? { type, id } : null;
  } catch {
    return null;
  }
}

function createListeners() {
  const listeners = [];
  return {
    subscribe: (listener) => listeners.push(listener),
    tell(message) {
      const event = parse(message);
      if (event) for (const listener of listeners) listener(event);
    },
  };
}

/** Only this process. */
function createLocalBus() {
  const { subscribe, tell } = createListeners();
  return {
    kind: 'local',
    subscribe,
    publish: async (event) => tell(JSON.stringify(event)),
    health: async () => ({ ok: true }),
    end: async () => {},
  };
}

function createRedisBus(redis, log) {
  const { subscribe, tell } = createListeners();
  redis.subscriber.on('message', (_channel, message) => tell(message));
  // Kept until there is a connection, and done again by the client after each reconnect.
  redis.subscriber.subscribe(REDIS_CHANNEL).catch((error) => log.error({ error: error.message }, 'feed not subscribed'));
  return {
    kind: 'redis',
    subscribe,
    publish: (event) => redis.commands.publish(REDIS_CHANNEL, JSON.stringify(event)),
    health: redis.health,
    end: async () => redis.end(),
  };
}

/** PostgreSQL's LISTEN, over a connection of its own, and NOTIFY. */
function createPostgresBus(config, database, log) {
  const { subscribe, tell } = createListeners();
  let client;
  let connected = false;
  let ended = false;
  let timer;

  function lost(lostClient, error) {
    if (lostClient !== client || ended) return;
    log.warn({ error: error?.message }, 'feed connection lost');
    connected = false;
    client = undefined;
    lostClient.end().catch(() => {});
    timer = setTimeout(connect, RECONNECT_MS);
  }

  async function connect() {
    const mine = new Client({
      connectionString: config.databaseUrl,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      application_name: 'voicedrive-api feed',
    });
    client = mine;
    mine.on('error', (error) => lost(mine, error));
    mine.on('end', () => lost(mine));
    mine.on('notification', ({ payload }) => tell(payload));
    try {
      await mine.connect();
      await mine.query(`LISTEN ${POSTGRES_CHANNEL}`);
      connected = client === mine;
    } catch (error) {
      lost(mine, error);
    }
  }

  connect();
  return {
    kind: 'postgresql',
    subscribe,
    publish: (event) => database.query('SELECT pg_notify($1, $2)', [POSTGRES_CHANNEL, JSON.stringify(event)]),
    health: async () => (connected ? { ok: true } : { ok: false, reason: "the feed's connection is down" }),
    async end() {
      ended = true;
      clearTimeout(timer);
      if (client) await client.end().catch(() => {});
    },
  };
}

module.exports = { createLocalBus, createPostgresBus, createRedisBus, parse };
