'use strict';

// Users and sessions, in the schema that all systems share. A session's token is kept as its hash only.

const crypto = require('node:crypto');
const { promisify } = require('node:util');

const scrypt = promisify(crypto.scrypt);
const HOURS = 12;
const CACHED_S = 60;
const NOBODY = `scrypt:${'0'.repeat(32)}:${'0'.repeat(64)}`;

const hashOf = (token) => crypto.createHash('sha256').update(token).digest('hex');

async function hashPassword(password, salt = crypto.randomBytes(16).toString('hex')) {
  const key = await scrypt(password, Buffer.from(salt, 'hex'), 32);
  return `scrypt:${salt}:${key.toString('hex')}`;
}

async function isPassword(password, hash) {
  const made = await hashPassword(password, hash.split(':')[1]);
  return made.length === hash.length && crypto.timingSafeEqual(Buffer.from(made), Buffer.from(hash));
}

/** cache: connection to Redis, or null; an outage of it costs a query, nothing else. */
function createAccounts({ database, cache = null }) {
  async function fromCache(hash) {
    const found = cache && (await cache.get(`session:${hash}`).catch(() => null));
    return found ? JSON.parse(found) : null;
  }

  async function add({ email, name, password }) {
    const { rows } = await database.query(
      'INSERT INTO common.users (email, name, password_hash) VALUES (lower($1), $2, $3) RETURNING id, email, name',
      [email, name, await hashPassword(password)],
    );
    return rows[0];
  }

  /** {token, expires_at}, or null where email or password is wrong; either takes as long as the other. */
  async function open({ email, password }) {
    const { rows } = await database.query('SELECT id, password_hash FROM common.users WHERE email = lower($1) AND active', [email]);
    if (!(await isPassword(password, rows[0]?.password_hash ?? NOBODY)) || !rows.length) return null;
    const token = crypto.randomBytes(32).toString('base64url');
    const made = await database.query(
      `INSERT INTO common.sessions (token_hash, user_id, expires_at)
       VALUES ($1, $2, now() + interval '${HOURS} hours') RETURNING expires_at`,
      [hashOf(token), rows[0].id],
    );
    return { token, expires_at: made.rows[0].expires_at };
  }

  /** The user of `Authorization: Bearer <token>`, or null. */
  async function userOf(request) {
    const [scheme, token] = (request.headers.authorization || '').split(' ');
    if (!token || scheme.toLowerCase() !== 'bearer') return null;
    const hash = hashOf(token);
    const known = await fromCache(hash);
    if (known) return known;
    const { rows } = await database.query(
      `SELECT users.id, users.name FROM common.sessions JOIN common.users ON users.id = user_id
       WHERE token_hash = $1 AND expires_at > now() AND active`,
      [hash],
    );
    if (rows.length && cache) await cache.set(`session:${hash}`, JSON.stringify(rows[0]), 'EX', CACHED_S).catch(() => {});
    return rows[0] ?? null;
  }

  async function close(request) {
    const hash = hashOf((request.headers.authorization || '').split(' ')[1] || '');
    await database.query('DELETE FROM common.sessions WHERE token_hash = $1', [hash]);
    if (cache) await cache.del(`session:${hash}`).catch(() => {});
  }

  return { add, close, open, userOf };
}

module.exports = { createAccounts, hashPassword, isPassword };
