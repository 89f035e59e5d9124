'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { after, before, test } = require('node:test');
const jwt = require('jsonwebtoken');
const { WebSocket } = require('ws');
const { createApp } = require('../lib/app');
const { createEcho } = require('../lib/echo');
const { createLog } = require('../lib/log');

const SECRET = 'a-secret-of-at-least-32-characters';
const TOKEN = jwt.sign({ sub: 'test' }, SECRET, { algorithm: 'HS256' });
const lines = [];
const database = {
  state: { ok: true },
  answer: () => ({ rowCount: 0, rows: [] }),
  health: async () => database.state,
  query: async (text, values) => database.answer(text, values),
};
const config = { jwtSecret: SECRET };
const log = createLog('info', { write: (line) => lines.push(line) });
const release = { id: '0001-0123456789ab', commit: '0123456789abcdef0123456789abcdef01234567' };
let server;
let echo;
let base;

before(async () => {
  server = http.createServer(createApp({ config, database, log, release }));
  echo = createEcho(server, config, log);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `127.0.0.1:${server.address().port}`;
});
after(() => server.close());

async function call(method, path, { body, token = TOKEN } = {}) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`http://${base}${path}`, { method, headers, body });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

test('health names the release and follows the database', async () => {
  database.state = { ok: true };
  const good = await call('GET', '/health', { token: null });
  assert.equal(good.status, 200);
  assert.equal(good.body.commit, release.commit);
  assert.equal(good.body.release, release.id);
  assert.equal(good.body.database, 'ok');
  database.state = { ok: false, reason: 'no answer within 2000 ms' };
  const bad = await call('GET', '/health', { token: null });
  assert.equal(bad.status, 503);
  assert.equal(bad.body.database, 'no answer within 2000 ms');
});

test('warming up asks for the list of the staff, and shows nothing of it', async () => {
  const asked = [];
  database.answer = (text) => {
    asked.push(text);
    return { rowCount: 1, rows: [{ name: '看護師' }] };
  };
  const warm = await call('GET', '/warm-up', { token: null });
  assert.deepEqual(warm, { status: 200, body: { status: 'warm', bytes: JSON.stringify([{ name: '看護師' }]).length } });
  assert.match(asked[0], /^SELECT \* FROM staff /);
});

test('nothing under /api/medical answers without a valid token', async () => {
  const forged = jwt.sign({ sub: 'test' }, 'another secret of some 32 characters');
  const unsigned = jwt.sign({ sub: 'test' }, null, { algorithm: 'none' });
  const expired = jwt.sign({ sub: 'test' }, SECRET, { expiresIn: -1 });
  for (const token of [null, 'x', forged, unsigned, expired]) {
    for (const path of ['/api/medical/staff', '/api/medical/echo', '/api/medical/nothing']) {
      assert.equal((await call('GET', path, { token })).status, 401, `${path} with ${token}`);
    }
  }
});

const REFUSED = [
  ['staff', {}, ['the body is empty', 'name: required']],
  ['staff', { name: ' ' }, ['name: must not be empty']],
  ['staff', { name: '山田', age: 3 }, ['age: unknown; known are name, email, department, position, active, hired_on']],
  ['staff', { name: '山田', active: 'yes' }, ['active: must be true or false']],
  ['staff', { name: '山田', hired_on: '2025-02-30' }, ['hired_on: must be a date such as 2025-04-01']],
  ['staff', [], ['the body must be a JSON object']],
  ['interviews', { staff_id: 1.5, interview_date: '2025-04-01' }, ['staff_id: must be an id']],
  ['interviews', { staff_id: 1, interview_date: '2025-04-01', kind: 'x' }, ['kind: must be one of regular, return, exit']],
  ['evaluations', { staff_id: 1, evaluation_period: '2025-H1', score: 101 }, ['score: must be a number from 0 to 100']],
];

for (const [name, body, details] of REFUSED) {
  test(`${name}: ${JSON.stringify(body)} is refused with a reason`, async () => {
    const answer = await call('POST', `/api/medical/${name}`, { body: JSON.stringify(body) });
    assert.equal(answer.status, 400);
    assert.deepEqual(answer.body.details, details);
  });
}

test('broken JSON is the mistake of the client', async () => {
  assert.equal((await call('POST', '/api/medical/staff', { body: '{' })).status, 400);
});

test('values travel as parameters, never in the SQL', async () => {
  let seen;
  database.answer = (text, values) => {
    seen = { text, values };
    return { rowCount: 1, rows: [{ id: 7 }] };
  };
  const name = "'; DROP TABLE staff; --";
  assert.equal((await call('POST', '/api/medical/staff', { body: JSON.stringify({ name, active: true }) })).status, 201);
  assert.equal(seen.text, 'INSERT INTO staff (name, active) VALUES ($1, $2) RETURNING *');
  assert.deepEqual(seen.values, [name, true]);
});

test('what the database refuses becomes an answer a client understands', async () => {
  const cases = { 23503: 409, 23505: 409, 23514: 422, XX000: 500 };
  for (const [code, status] of Object.entries(cases)) {
    database.answer = () => {
      throw Object.assign(new Error('refused'), { code });
    };
    assert.equal((await call('DELETE', '/api/medical/staff/7')).status, status, code);
  }
});

test('an entry that is not there is a 404', async () => {
  database.answer = () => ({ rowCount: 0, rows: [] });
  assert.equal((await call('GET', '/api/medical/staff/7')).status, 404);
  assert.equal((await call('GET', '/api/medical/staff/x')).status, 404);
  assert.equal((await call('PATCH', '/api/medical/staff/7', { body: '{"active":false}' })).status, 404);
  assert.equal((await call('DELETE', '/api/medical/staff/7')).status, 404);
});

test('the WebSocket echoes, and is told of a restart', async () => {
  const client = new WebSocket(`ws://${base}/api/medical/echo`, { headers: { Authorization: `Bearer ${TOKEN}` } });
  const next = (event) => new Promise((resolve) => client.once(event, resolve));
  await next('open');
  const echoed = next('message');
  client.send('こんにちは');
  assert.equal(String(await echoed), 'こんにちは');
  const closed = next('close');
  echo.stop();
  assert.equal(await closed, 1012);
});

test('the WebSocket wants a token', async () => {
  const client = new WebSocket(`ws://${base}/api/medical/echo`);
  const error = await new Promise((resolve) => client.once('error', resolve));
  assert.match(error.message, /401/);
});

test('the log is JSON lines without tokens', async () => {
  await call('GET', '/api/medical/staff?password=geheim');
  await new Promise((resolve) => setTimeout(resolve, 20));
  const entry = JSON.parse(lines.filter((line) => line.includes('"request"')).at(-1));
  assert.deepEqual(Object.keys(entry).sort(), ['level', 'method', 'ms', 'msg', 'path', 'status', 'time']);
  assert.equal(entry.path, '/api/medical/staff');
  for (const secret of [TOKEN, SECRET, 'geheim']) assert.ok(!lines.join('').includes(secret));
});
