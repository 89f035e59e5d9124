'use strict';

// An HTTP or HTTPS server for a request handler: certificates anew on SIGHUP, nobody cut off on SIGTERM.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const tls = require('node:tls');

const STOP_WITHIN_MS = 9000; // systemd and PM2 kill after ten seconds

/**
 * Reads the settings from the environment; throws one error that names everything that is wrong.
 * @returns {{host: string, port: number, certificate: string, key: string}} without paths: plain HTTP
 */
function readConfig(env) {
  const wrong = [];
  const certificate = env.TLS_CERT || '';
  const key = env.TLS_KEY || '';
  if (Boolean(certificate) !== Boolean(key)) wrong.push('TLS_CERT and TLS_KEY: give both or neither');
  const port = Number(env.PORT || (certificate ? 443 : 3000));
  if (!Number.isInteger(port) || port < 1 || port > 65535) wrong.push('PORT must be a number from 1 to 65535');
  if (wrong.length) throw new Error(`wrong settings: ${wrong.join('; ')}`);
  return { host: env.HOST || (certificate ? '0.0.0.0' : '127.0.0.1'), port, certificate, key };
}

/** Certificate chain and key as they are on disk now. Throws where they cannot be read or do not belong together. */
function readCertificate({ certificate, key }) {
  const pair = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key), minVersion: 'TLSv1.2' };
  tls.createSecureContext(pair);
  return pair;
}

const describe = (pair) => {
  const { subjectAltName, validTo } = new crypto.X509Certificate(pair.cert);
  return `${subjectAltName ?? 'a certificate without names'}, valid until ${validTo}`;
};

/** A server that does not listen yet; `renew` and `stop` are for signals. */
function createServer(config, handle, say = console.log) {
  const unanswered = new Set();
  let stopping = false;
  const listener = (request, response) => {
    if (stopping) response.setHeader('Connection', 'close');
    unanswered.add(response);
    response.on('close', () => unanswered.delete(response));
    handle(request, response);
  };
  const pair = config.certificate ? readCertificate(config) : null;
  if (pair) say(`certificate: ${describe(pair)}`);
  const server = pair ? https.createServer(pair, listener) : http.createServer(listener);

  /** New connections get the certificate that is on disk; one that cannot be used leaves the old one in place. */
  function renew() {
    if (!pair) return;
    try {
      const renewed = readCertificate(config);
      server.setSecureContext(renewed);
      say(`certificate renewed: ${describe(renewed)}`);
    } catch (error) {
      say(`certificate not renewed, the old one stays: ${error.message}`);
    }
  }

  /** Resolves once every request is answered and every connection is closed. */
  async function stop() {
    stopping = true;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const response of unanswered) if (!response.headersSent) response.setHeader('Connection', 'close');
    // Again and again: an answer that had begun before leaves its connection open.
    const ending = setInterval(() => server.closeIdleConnections(), 100);
    await closed;
    clearInterval(ending);
  }

  return { server, renew, stop };
}

function run(config, handle) {
  const { server, renew, stop } = createServer(config, handle);
  let stopping = false;

  async function end(signal) {
    if (stopping) return;
    stopping = true;
    console.log(`${signal}: stopping`);
    setTimeout(() => {
      console.log('stopped with requests unfinished');
      process.exit(0);
    }, STOP_WITHIN_MS);
    await stop();
    console.log('stopped');
    process.exit(0);
  }

  process.on('SIGHUP', renew);
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  server.on('error', (error) => {
    console.error(`morizo-web: cannot listen: ${error.message}`);
    process.exit(1);
  });
  server.listen(config.port, config.host, () => {
    console.log(`listening on ${config.certificate ? 'https' : 'http'}://${config.host}:${config.port}`);
    if (process.send) process.send('ready'); // PM2's wait_ready
  });
}

module.exports = { createServer, readConfig, run };
