'use strict';

const { STATUS_CODES } = require('node:http');
const { WebSocketServer } = require('ws');
const { claimsOf } = require('./auth');

const PATH = '/api/medical/echo';
const SERVICE_RESTART = 1012;

/** A WebSocket at /api/medical/echo that sends back what it gets. */
function createEcho(server, config, log) {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });

  function refuse(socket, path, status) {
    log.info({ path, status }, 'websocket refused');
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }

  server.on('upgrade', (request, socket, head) => {
    const path = request.url.split('?')[0];
    socket.on('error', (error) => log.debug({ path, error: error.message }, 'websocket gone'));
    if (path !== PATH) return refuse(socket, path, 404);
    if (!claimsOf(request, config.jwtSecret)) return refuse(socket, path, 401);
    return sockets.handleUpgrade(request, socket, head, (client) => {
      log.info({ path }, 'websocket open');
      client.on('message', (data, binary) => client.send(data, { binary }));
      client.on('error', (error) => log.info({ path, error: error.message }, 'websocket error'));
      client.on('close', (code) => log.info({ path, code }, 'websocket closed'));
    });
  });

  /** Tells every client that the service restarts; those that do not answer within a second are cut. */
  function stop() {
    for (const client of sockets.clients) {
      client.close(SERVICE_RESTART, 'restarting');
      setTimeout(() => client.terminate(), 1000);
    }
  }

  return { stop };
}

module.exports = { createEcho };
