'use strict';

const http = require('node:http');
const { createAccounts } = require('./accounts');
const { createFeed } = require('./feed');
const { createListener } = require('./http');
const { createPosts } = require('./posts');
const { createRoutes } = require('./routes');

/** The server with all that hangs on it, not listening yet. redis: null where the app has none. */
function createService({ config, database, bus, redis, release, log }) {
  const state = { stopping: false };
  const server = http.createServer();
  const accounts = createAccounts({ database, cache: redis?.commands });
  const posts = createPosts(database);
  const feed = createFeed({ server, accounts, posts, bus, release, log });
  const routes = createRoutes({ accounts, posts, database, bus, redis, feed, release, config, log });
  server.on('request', createListener({ routes, log, state }));

  /** Resolves once every request is answered and every connection is closed. */
  async function stop() {
    state.stopping = true;
    const closed = new Promise((resolve) => server.close(resolve));
    feed.stop();
    // Again and again: an answer that had begun before leaves its connection open.
    const ending = setInterval(() => server.closeIdleConnections(), 100);
    await closed;
    clearInterval(ending);
  }

  return { server, stop };
}

module.exports = { createService };
