'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { after, before, test } = require('node:test');
const { createServer, readConfig } = require('../lib/serve');

let folder;
const file = (name) => path.join(folder, name);

function makePair(name) {
  const options = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=DNS:${name}`;
  const paths = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
  execFileSync('openssl', [...options.split(' '), ...paths], { stdio: 'ignore' });
}

function use(certificate, key = certificate) {
  fs.copyFileSync(file(`${certificate}.crt`), file('cert.pem'));
  fs.copyFileSync(file(`${key}.key`), file('key.pem'));
}

const shown = (port) =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'x.test' }, () => {
      resolve(new crypto.X509Certificate(socket.getPeerCertificate().raw).subject);
      socket.destroy();
    });
    socket.on('error', reject);
  });

async function start(config, handle = (request, response) => response.end('hello')) {
  const said = [];
  const made = createServer(config, handle, (line) => said.push(line));
  await new Promise((resolve) => made.server.listen(0, '127.0.0.1', resolve));
  return { ...made, said, port: made.server.address().port };
}

before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'morizo-web-'));
  for (const name of ['old.test', 'new.test']) makePair(name);
});
after(() => fs.rmSync(folder, { recursive: true }));

test('a certificate makes it HTTPS on 443, for everybody', () => {
  assert.deepEqual(readConfig({}), { host: '127.0.0.1', port: 3000, certificate: '', key: '' });
  assert.deepEqual(readConfig({ TLS_CERT: '/c', TLS_KEY: '/k' }), { host: '0.0.0.0', port: 443, certificate: '/c', key: '/k' });
  assert.equal(readConfig({ TLS_CERT: '/c', TLS_KEY: '/k', PORT: '8443' }).port, 8443);
});

test('all mistakes are named at once', () => {
  assert.throws(() => readConfig({ TLS_CERT: '/c', PORT: 'x' }), /TLS_CERT and TLS_KEY: give both or neither; PORT must be/);
});

test('a renewed certificate is shown without a restart, and connections that are open go on', async () => {
  use('old.test');
  const { server, port, renew, stop, said } = await start({ certificate: file('cert.pem'), key: file('key.pem') });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  const ask = () =>
    new Promise((resolve, reject) => {
      const request = https.get({ port, host: '127.0.0.1', agent }, (response) => {
        response.resume().on('end', () => resolve({ status: response.statusCode, reused: request.reusedSocket }));
      });
      request.on('error', reject);
    });
  assert.equal((await ask()).status, 200);
  assert.equal(await shown(port), 'CN=old.test');
  use('new.test');
  assert.equal(await shown(port), 'CN=old.test');
  renew();
  assert.equal(await shown(port), 'CN=new.test');
  assert.deepEqual(await ask(), { status: 200, reused: true });
  assert.match(said.at(-1), /certificate renewed: DNS:new\.test/);
  assert.ok(server.listening);
  await stop();
});

test('a certificate that cannot be used leaves the old one in place', async () => {
  use('old.test');
  const { port, renew, stop, said } = await start({ certificate: file('cert.pem'), key: file('key.pem') });
  use('new.test', 'old.test');
  renew();
  assert.match(said.at(-1), /not renewed, the old one stays/);
  fs.rmSync(file('key.pem'));
  renew();
  assert.match(said.at(-1), /not renewed, the old one stays/);
  assert.equal(await shown(port), 'CN=old.test');
  await stop();
});

test('a certificate that cannot be used stops the start', () => {
  use('new.test', 'old.test');
  assert.throws(() => createServer({ certificate: file('cert.pem'), key: file('key.pem') }, () => {}, () => {}));
});

test('without a certificate a renewal is nothing', async () => {
  const { renew, stop, said } = await start({});
  renew();
  assert.deepEqual(said, []);
  await stop();
});

test('a stop answers what was asked and ends kept connections', async () => {
  let release;
  const { port, stop } = await start({}, (request, response) => {
    if (request.url === '/slow') release = () => response.end('late');
    else response.end('hello');
  });
  const agent = new http.Agent({ keepAlive: true });
  const get = (url) =>
    new Promise((resolve, reject) => {
      http.get({ port, host: '127.0.0.1', path: url, agent }, (response) => {
        let text = '';
        response.on('data', (part) => (text += part)).on('end', () => resolve(text));
      }).on('error', reject);
    });
  assert.equal(await get('/'), 'hello');
  const slow = get('/slow');
  while (!release) await new Promise((resolve) => setTimeout(resolve, 5));
  const stopped = stop();
  setTimeout(release, 50);
  assert.equal(await slow, 'late');
  const late = setTimeout(() => assert.fail('kept connections hold the stop up'), 3000);
  await stopped;
  clearTimeout(late);
});
