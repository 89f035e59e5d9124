'use strict';

// The live feed: each new post and comment, from whichever process, to every client that is connected to this one.

const { STATUS_CODES } = require('node:http');
const { WebSocket, WebSocketServer } = require('ws');

const PATH = '/feed';
const SERVICE_RESTART = 1012;
const PING_MS = 25000; // proxies close what is silent for a minute
const BEHIND = 1024 * 1024; // bytes that a slow client may leave unread

function createFeed({ server, accounts, posts, bus, release, log }) {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 4096 });
  let stopping = false;

  function refuse(socket, status) {
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }

  function welcome(client, user) {
    client.isAlive = true;
    client.on('pong', () => (client.isAlive = true));
    client.on('error', (error) => log.info({ user: user.id, error: error.message }, 'feed error'));
    client.on('close', (code) => log.info({ user: user.id, code }, 'feed closed'));
    client.send(JSON.stringify({ type: 'hello', pid: process.pid, release: release.id }));
    log.info({ user: user.id, clients: sockets.clients.size }, 'feed open');
  }

  server.on('upgrade', async (request, socket, head) => {
    socket.on('error', (error) => log.debug({ error: error.message }, 'websocket gone'));
    if (request.url.split('?')[0] !== PATH) return refuse(socket, 404);
    if (stopping) return refuse(socket, 503);
    try {
      const user = await accounts.userOf(request);
      if (!user) return refuse(socket, 401);
      return sockets.handleUpgrade(request, socket, head, (client) => welcome(client, user));
    } catch (error) {
      log.error({ error: error.message }, 'feed refused');
      return refuse(socket, 503);
    }
  });

  function broadcast(message) {
    const text = JSON.stringify(message);
    for (const client of sockets.clients) {
      if (client.readyState !== WebSocket.OPEN) continue;
      if (client.bufferedAmount > BEHIND) client.terminate();
      else client.send(text);
    }
  }

  async function tell({ type, id }) {
    if (!sockets.clients.size) return;
    try {
      const entry = await (type === 'post' ? posts.one(id) : posts.comment(id));
      if (entry) broadcast({ type, [type]: entry });
    } catch (error) {
      log.warn({ type, id, error: error.message }, 'not told to the clients');
    }
  }

  // One after the other, so that no comment overtakes its post.
  let told = Promise.resolve();
  bus.subscribe((event) => (told = told.then(() => tell(event))));

  const pinging = setInterval(() => {
    for (const client of sockets.clients) {
      if (!client.isAlive) client.terminate();
      client.isAlive = false;
      client.ping();
    }
  }, PING_MS);
  pinging.unref();

  /** Tells every client that the service restarts; those that do not answer within a second are cut. */
  function stop() {
    stopping = true;
    clearInterval(pinging);
    for (const client of sockets.clients) client.close(SERVICE_RESTART, 'service restart');
    setTimeout(() => {
      for (const client of sockets.clients) client.terminate();
    }, 1000).unref();
  }

  return { clients: () => sockets.clients.size, stop };
}

module.exports = { createFeed };
