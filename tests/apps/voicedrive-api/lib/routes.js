'use strict';

const { Refusal } = require('./http');

const PAGE = 50;
const ID = '(?<id>[1-9][0-9]{0,8})';
const TEXTS = { email: 320, name: 200, password: 1000, body: 5000 };
const eaten = [];

/** The texts that a body must have, and nothing else. */
function texts(body, names) {
  const wrong = [];
  for (const name of Object.keys(body)) if (!names.includes(name)) wrong.push(`${name}: unknown; known are ${names.join(', ')}`);
  for (const name of names) {
    const value = body[name];
    if (typeof value !== 'string' || value.trim() === '') wrong.push(`${name}: must be a text`);
    else if (value.length > TEXTS[name]) wrong.push(`${name}: must be at most ${TEXTS[name]} characters long`);
    else if (name === 'email' && !/^\S+@\S+$/.test(value)) wrong.push('email: must be an address');
    else if (name === 'password' && value.length < 12) wrong.push('password: must be at least 12 characters long');
  }
  if (wrong.length) throw new Refusal(400, 'the request is not valid', wrong);
  return body;
}

function createRoutes({ accounts, posts, database, bus, redis, feed, release, config, log }) {
  async function user(request) {
    const found = await accounts.userOf(request);
    if (!found) throw new Refusal(401, 'a valid session is required');
    return found;
  }

  const found = (entry, what) => {
    if (!entry) throw new Refusal(404, `no such ${what}`);
    return entry;
  };

  /** The entry is stored by now: where the news does not get through, the feeds miss it and nothing else. */
  async function tell(type, { id }) {
    await bus.publish({ type, id }).catch((error) => log.warn({ type, id, error: error.message }, 'not told to the feeds'));
  }

  async function health() {
    const unused = redis ? null : { ok: true, reason: 'not used' };
    const [db, cache, news] = await Promise.all([database.health(), unused ?? redis.health(), bus.health()]);
    const ok = db.ok && cache.ok && news.ok;
    const body = {
      status: ok ? 'ok' : 'unavailable',
      release: release.id,
      commit: release.commit,
      uptime_s: Math.floor(process.uptime()),
      database: db.ok ? 'ok' : db.reason,
      redis: cache.reason ?? 'ok',
      feed: { bus: bus.kind, state: news.ok ? 'ok' : news.reason, clients: feed.clients() },
    };
    return [ok ? 200 : 503, body, { 'Cache-Control': 'no-store' }];
  }

  function version() {
    const body = { release: release.id, commit: release.commit, pid: process.pid, cwd: process.cwd(), node: process.version };
    return [200, body, { 'Cache-Control': 'no-store' }];
  }

  /** Does what the list of posts does, and shows nothing of it; for whoever is on this host: the web server says whom it asks for. */
  async function warmUp({ request }) {
    if (request.headers['x-forwarded-for']) throw new Refusal(404, 'not found');
    await accounts.userOf({ headers: { authorization: 'Bearer warm-up' } });
    const list = await posts.list(2 ** 31 - 1, PAGE);
    return [200, { status: 'warm', bytes: JSON.stringify(list).length }];
  }

  const routes = [
    ['GET', /^\/health$/, health],
    ['GET', /^\/version$/, version],
    ['GET', /^\/warm-up$/, warmUp],
    ['POST', /^\/users$/, async ({ body }) => [201, await accounts.add(texts(await body(), ['email', 'name', 'password']))]],
    [
      'POST',
      /^\/sessions$/,
      async ({ body }) => {
        const session = await accounts.open(texts(await body(), ['email', 'password']));
        if (!session) throw new Refusal(401, 'email or password is wrong');
        return [201, session, { 'Cache-Control': 'no-store' }];
      },
    ],
    [
      'DELETE',
      /^\/sessions$/,
      async ({ request }) => {
        await user(request);
        await accounts.close(request);
        return [204];
      },
    ],
    [
      'GET',
      /^\/posts$/,
      async ({ request, query }) => {
        await user(request);
        const before = query.get('before') ?? String(2 ** 31 - 1);
        if (!/^[0-9]{1,10}$/.test(before) || Number(before) >= 2 ** 31) {
          throw new Refusal(400, 'the request is not valid', ['before: must be the id of a post']);
        }
        return [200, await posts.list(Number(before), PAGE)];
      },
    ],
    [
      'POST',
      /^\/posts$/,
      async ({ request, body }) => {
        const author = await user(request);
        const post = await posts.add(author, texts(await body(), ['body']));
        await tell('post', post);
        return [201, post, { Location: `posts/${post.id}` }];
      },
    ],
    [
      'GET',
      new RegExp(`^/posts/${ID}$`),
      async ({ request, params }) => {
        await user(request);
        return [200, found(await posts.one(Number(params.id)), 'post')];
      },
    ],
    [
      'DELETE',
      new RegExp(`^/posts/${ID}$`),
      async ({ request, params }) => {
        found(await posts.remove(await user(request), Number(params.id)), 'post of yours');
        return [204];
      },
    ],
    [
      'GET',
      new RegExp(`^/posts/${ID}/comments$`),
      async ({ request, params }) => {
        await user(request);
        found(await posts.one(Number(params.id)), 'post');
        return [200, await posts.comments(Number(params.id))];
      },
    ],
    [
      'POST',
      new RegExp(`^/posts/${ID}/comments$`),
      async ({ request, params, body }) => {
        const author = await user(request);
        const comment = await posts.addComment(author, Number(params.id), texts(await body(), ['body']));
        await tell('comment', comment);
        return [201, comment];
      },
    ],
  ];
  // For the tests of memory limits; not there unless the environment asks for it.
  if (config.mayEat) {
    routes.push([
      'POST',
      /^\/test\/eat$/,
      async ({ query }) => {
        eaten.push(Buffer.alloc((Number(query.get('mb')) || 100) << 20, 1));
        return [200, { pid: process.pid, rss: process.memoryUsage.rss() }];
      },
    ]);
  }
  return routes;
}

module.exports = { createRoutes };
