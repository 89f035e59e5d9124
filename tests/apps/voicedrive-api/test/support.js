'use strict';

const { createBusPair } = require('./bus-pair');
const { createLog } = require('../lib/log');
const { createService } = require('../lib/service');

/** As much of the database as the service's queries need, kept in memory. */
function createFakeDatabase() {
  const users = [];
  const sessions = [];
  const posts = [];
  const comments = [];
  const answers = [
    [/^INSERT INTO common\.users/, ([email, name, hash]) => {
      if (users.some((user) => user.email === email)) throw Object.assign(new Error('twice'), { code: '23505' });
      users.push({ id: users.length + 1, email, name, password_hash: hash });
      return [{ id: users.length, email, name }];
    }],
    [/^SELECT id, password_hash FROM common\.users/, ([email]) => users.filter((user) => user.email === email)],
    [/^INSERT INTO common\.sessions/, ([hash, user]) => {
      sessions.push({ hash, user });
      return [{ expires_at: '2030-01-01T00:00:00Z' }];
    }],
    [/FROM common\.sessions JOIN/, ([hash]) => {
      const session = sessions.find((one) => one.hash === hash);
      return session ? users.filter((user) => user.id === session.user).map(({ id, name }) => ({ id, name })) : [];
    }],
    [/^DELETE FROM common\.sessions/, ([hash]) => sessions.splice(sessions.findIndex((one) => one.hash === hash), 1)],
    [/^INSERT INTO posts/, ([author_id, body]) => {
      posts.push({ id: posts.length + 1, author_id, body, comments: 0 });
      return [posts.at(-1)];
    }],
    [/^INSERT INTO comments/, ([post_id, author_id, body]) => {
      if (!posts.some((post) => post.id === post_id)) throw Object.assign(new Error('no post'), { code: '23503' });
      comments.push({ id: comments.length + 1, post_id, author_id, body });
      return [comments.at(-1)];
    }],
    [/FROM posts .* WHERE posts\.id = /s, ([id]) => posts.filter((post) => post.id === id)],
    [/FROM posts .* WHERE posts\.id < /s, ([before, count]) => posts.filter(({ id }) => id < before).reverse().slice(0, count)],
    [/FROM comments .* WHERE comments\.id = /s, ([id]) => comments.filter((comment) => comment.id === id)],
    [/FROM comments .* WHERE post_id = /s, ([id]) => comments.filter(({ post_id }) => post_id === id)],
    [/^DELETE FROM posts/, ([id, author]) => {
      const index = posts.findIndex((post) => post.id === id && post.author_id === author);
      return index < 0 ? [] : posts.splice(index, 1);
    }],
  ];
  const fake = {
    state: { ok: true },
    queries: 0,
    slow: 0, // milliseconds that a single post takes
    health: async () => fake.state,
    async query(text, values) {
      fake.queries += 1;
      if (/FROM posts .* WHERE posts\.id = /s.test(text)) await new Promise((resolve) => setTimeout(resolve, fake.slow));
      const [, answer] = answers.find(([pattern]) => pattern.test(text)) ?? [];
      if (!answer) throw new Error(`no answer to ${text}`);
      return { rows: answer(values) };
    },
  };
  return fake;
}

/** As many services as asked for, on one database and one bus, each listening. */
async function startServices(count, { config = {}, redis = null } = {}) {
  const lines = [];
  const log = createLog('info', { write: (line) => lines.push(line) });
  const database = createFakeDatabase();
  const bus = createBusPair();
  const services = [];
  for (let number = 1; number <= count; number += 1) {
    const release = { id: `000${number}-0123456789ab`, commit: '0123456789abcdef0123456789abcdef01234567' };
    const service = createService({ config, database, bus: bus.end(), redis, release, log });
    await new Promise((resolve) => service.server.listen(0, '127.0.0.1', resolve));
    services.push({ ...service, base: `127.0.0.1:${service.server.address().port}` });
  }
  return { services, database, bus, lines };
}

async function call(base, method, path, { body, token } = {}) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`http://${base}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null, headers: response.headers };
}

/** A session of a user who was not there before. */
async function login(base, email = 'hanako@voicedrive.test') {
  const user = { email, name: '花子', password: 'a long enough one' };
  await call(base, 'POST', '/users', { body: user });
  return (await call(base, 'POST', '/sessions', { body: { email, password: user.password } })).body.token;
}

module.exports = { call, login, startServices };
