'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { after, before, test } = require('node:test');
const { WebSocket } = require('ws');
const { call, login, startServices } = require('./support');

let first;
let second;
let world;
let token;

before(async () => {
  world = await startServices(2);
  [first, second] = world.services;
  token = await login(first.base);
});
after(() => Promise.all([first.stop(), second.stop()]));

function watch(base, bearer = token) {
  const client = new WebSocket(`ws://${base}/feed`, { headers: { Authorization: `Bearer ${bearer}` } });
  const seen = [];
  client.on('message', (data) => seen.push(JSON.parse(data)));
  const until = async (count) => {
    while (seen.length < count) await once(client, 'message');
    return seen;
  };
  return { client, seen, until };
}

test('health names the release and follows the database, Redis and the feed', async () => {
  const good = await call(first.base, 'GET', '/health');
  assert.equal(good.status, 200);
  assert.equal(good.body.release, '0001-0123456789ab');
  assert.equal(good.body.database, 'ok');
  assert.equal(good.body.redis, 'not used');
  world.database.state = { ok: false, reason: 'no answer within 2000 ms' };
  const bad = await call(first.base, 'GET', '/health');
  assert.deepEqual([bad.status, bad.body.database], [503, 'no answer within 2000 ms']);
  world.database.state = { ok: true };
  world.bus.state = { ok: false, reason: 'away' };
  const deaf = await call(first.base, 'GET', '/health');
  assert.deepEqual([deaf.status, deaf.body.feed.state], [503, 'away']);
  world.bus.state = { ok: true };
});

test('version says which process of which release answers', async () => {
  const { body } = await call(second.base, 'GET', '/version');
  assert.equal(body.release, '0002-0123456789ab');
  assert.equal(body.pid, process.pid);
  assert.equal(body.cwd, process.cwd());
});

test('warming up reads the list, and shows nothing of it to anybody', async () => {
  const warm = await call(first.base, 'GET', '/warm-up');
  assert.equal(warm.status, 200);
  assert.deepEqual(Object.keys(warm.body), ['status', 'bytes']);
  assert.ok(warm.body.bytes >= 2);
  const outside = await fetch(`http://${first.base}/warm-up`, { headers: { 'X-Forwarded-For': '203.0.113.5' } });
  assert.equal(outside.status, 404);
});

test('nothing but health, version, warming up, joining and logging in answers without a session', async () => {
  const wanted = [['GET', '/posts'], ['POST', '/posts'], ['GET', '/posts/1'], ['GET', '/posts/1/comments'], ['DELETE', '/sessions']];
  for (const [method, path] of wanted) {
    for (const wrong of [undefined, 'x']) {
      const answer = await call(first.base, method, path, { token: wrong, body: method === 'POST' ? {} : undefined });
      assert.equal(answer.status, 401, `${method} ${path}`);
    }
  }
});

test('a wrong password and an unknown user get the same answer', async () => {
  for (const email of ['hanako@voicedrive.test', 'nobody@voicedrive.test']) {
    const answer = await call(first.base, 'POST', '/sessions', { body: { email, password: 'not the right one' } });
    assert.deepEqual([answer.status, answer.body.error], [401, 'email or password is wrong']);
  }
});

test('the second user of an address is refused', async () => {
  const body = { email: 'hanako@voicedrive.test', name: 'x', password: 'a long enough one' };
  assert.equal((await call(first.base, 'POST', '/users', { body })).status, 409);
});

test('what is wrong with a request is named at once, without its values', async () => {
  const answer = await call(first.base, 'POST', '/users', { body: { email: 'x', password: 'short', role: 'admin' } });
  assert.equal(answer.status, 400);
  assert.deepEqual(answer.body.details, [
    'role: unknown; known are email, name, password',
    'email: must be an address',
    'name: must be a text',
    'password: must be at least 12 characters long',
  ]);
});

test('a post and its comment are kept, and told to the clients of every process', async () => {
  const watchers = [watch(first.base), watch(second.base)];
  await Promise.all(watchers.map(({ until }) => until(1)));
  const post = await call(first.base, 'POST', '/posts', { token, body: { body: 'おはよう' } });
  assert.equal(post.status, 201);
  assert.equal(post.headers.get('Location'), `posts/${post.body.id}`);
  const comment = await call(second.base, 'POST', `/posts/${post.body.id}/comments`, { token, body: { body: 'hello' } });
  assert.equal(comment.status, 201);
  for (const { until, client } of watchers) {
    const [hello, news, reply] = await until(3);
    assert.deepEqual([hello.type, hello.pid], ['hello', process.pid]);
    assert.deepEqual([news.type, news.post.body], ['post', 'おはよう']);
    assert.deepEqual([reply.type, reply.comment.body, reply.comment.post_id], ['comment', 'hello', post.body.id]);
    client.close();
  }
  assert.equal((await call(second.base, 'GET', `/posts/${post.body.id}/comments`, { token })).body.length, 1);
  assert.equal((await call(second.base, 'GET', '/posts', { token })).body[0].id, post.body.id);
});

test('a post is stored even where the news of it is lost', async () => {
  world.bus.state = { ok: false, reason: 'away' };
  assert.equal((await call(first.base, 'POST', '/posts', { token, body: { body: 'unheard' } })).status, 201);
  world.bus.state = { ok: true };
  assert.ok(world.lines.some((line) => line.includes('not told to the feeds')));
});

test('news comes in its order, however long each takes', async () => {
  const { client, until } = watch(first.base);
  await until(1);
  const { body } = await call(first.base, 'POST', '/posts', { token, body: { body: 'first' } });
  world.database.slow = 50;
  world.bus.tell(JSON.stringify({ type: 'post', id: body.id }));
  await call(first.base, 'POST', `/posts/${body.id}/comments`, { token, body: { body: 'second' } });
  world.database.slow = 0;
  assert.deepEqual((await until(4)).map(({ type }) => type), ['hello', 'post', 'post', 'comment']);
  client.close();
});

test('what others write to the channel disturbs nobody', async () => {
  const { client, seen, until } = watch(first.base);
  await until(1);
  for (const message of ['{', 'null', '{"type":"post","id":"1; DROP"}', '{"type":"x","id":1}', '{"type":"post","id":999}']) {
    world.bus.tell(message);
  }
  await call(first.base, 'POST', '/posts', { token, body: { body: 'still here' } });
  await until(2);
  assert.equal(seen[1].post.body, 'still here');
  client.close();
});

test('only its author removes a post', async () => {
  const { body } = await call(first.base, 'POST', '/posts', { token, body: { body: 'mine' } });
  const other = await login(first.base, 'taro@voicedrive.test');
  assert.equal((await call(first.base, 'DELETE', `/posts/${body.id}`, { token: other })).status, 404);
  assert.equal((await call(first.base, 'DELETE', `/posts/${body.id}`, { token })).status, 204);
  assert.equal((await call(first.base, 'GET', `/posts/${body.id}`, { token })).status, 404);
});

test('unknown paths, methods, ids and bodies are the mistake of the client', async () => {
  assert.equal((await call(first.base, 'GET', '/nothing')).status, 404);
  const put = await call(first.base, 'PUT', '/posts', { token });
  assert.deepEqual([put.status, put.headers.get('Allow')], [405, 'GET, POST']);
  assert.equal((await call(first.base, 'GET', '/posts/x', { token })).status, 404);
  assert.equal((await call(first.base, 'GET', '/posts?before=x', { token })).status, 400);
  assert.equal((await call(first.base, 'POST', '/posts/99/comments', { token, body: { body: 'x' } })).status, 404);
  assert.equal((await call(first.base, 'POST', '/posts', { token, body: { body: 'x'.repeat(200000) } })).status, 413);
});

test('the feed wants a session, and no other path is a WebSocket', async () => {
  for (const [path, bearer, status] of [['/feed', 'x', '401'], ['/posts', token, '404']]) {
    const client = new WebSocket(`ws://${first.base}${path}`, { headers: { Authorization: `Bearer ${bearer}` } });
    const [error] = await once(client, 'error');
    assert.match(error.message, new RegExp(status));
  }
});

test('after logging out the token is worth nothing', async () => {
  const mine = await login(first.base, 'jiro@voicedrive.test');
  assert.equal((await call(first.base, 'DELETE', '/sessions', { token: mine })).status, 204);
  assert.equal((await call(first.base, 'GET', '/posts', { token: mine })).status, 401);
});

test('memory is eaten only where the environment asks for it', async () => {
  assert.equal((await call(first.base, 'POST', '/test/eat?mb=1')).status, 404);
  const { services } = await startServices(1, { config: { mayEat: true } });
  const answer = await call(services[0].base, 'POST', '/test/eat?mb=50');
  assert.equal(answer.status, 200);
  assert.ok(answer.body.rss > 50 << 20);
  await services[0].stop();
});

test('Redis spares the database the look-up of a session, and nobody notices its outage', async () => {
  const kept = new Map();
  const commands = {
    away: false,
    async get(key) {
      if (commands.away) throw new Error('away');
      return kept.get(key) ?? null;
    },
    set: async (key, value) => void kept.set(key, value),
    del: async (key) => void kept.delete(key),
  };
  const redis = { commands, health: async () => ({ ok: true }) };
  const { services, database } = await startServices(1, { redis });
  const [{ base, stop }] = services;
  const mine = await login(base);
  await call(base, 'GET', '/posts', { token: mine });
  const queries = database.queries;
  await call(base, 'GET', '/posts', { token: mine });
  assert.equal(database.queries, queries + 1);
  assert.ok(![...kept.keys()].some((key) => key.includes(mine)));
  commands.away = true;
  assert.equal((await call(base, 'GET', '/posts', { token: mine })).status, 200);
  assert.equal((await call(base, 'GET', '/health')).body.redis, 'ok');
  commands.away = false;
  await call(base, 'DELETE', '/sessions', { token: mine });
  assert.equal((await call(base, 'GET', '/posts', { token: mine })).status, 401);
  await stop();
});

test('a stop tells the feeds, lets nobody wait and ends kept connections', async () => {
  const { services } = await startServices(1);
  const [{ base, server, stop }] = services;
  const mine = await login(base);
  const { client, until } = watch(base, mine);
  await until(1);
  const agent = new http.Agent({ keepAlive: true });
  await new Promise((resolve) => http.get(`http://${base}/health`, { agent }, (response) => response.resume().on('end', resolve)));
  const began = Date.now();
  const [[code, reason]] = await Promise.all([once(client, 'close'), stop()]);
  assert.deepEqual([code, String(reason)], [1012, 'service restart']);
  assert.ok(Date.now() - began < 3000);
  assert.equal(server.listening, false);
});

test('the log is JSON lines without tokens, passwords and query strings', async () => {
  await call(first.base, 'GET', '/posts?before=geheim', { token });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const entry = JSON.parse(world.lines.filter((line) => line.includes('"request"')).at(-1));
  assert.deepEqual(Object.keys(entry).sort(), ['level', 'method', 'ms', 'msg', 'path', 'pid', 'status', 'time']);
  for (const secret of [token, 'a long enough one', 'geheim']) assert.ok(!world.lines.join('').includes(secret));
});
