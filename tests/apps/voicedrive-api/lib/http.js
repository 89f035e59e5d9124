'use strict';

// Routes, JSON bodies and errors on plain node:http.

const MAX_BODY = 100 * 1024;

/** An answer that is the client's to mend. */
class Refusal extends Error {
  constructor(status, message, details = undefined) {
    super(message);
    Object.assign(this, { status, details });
  }
}

// What PostgreSQL refuses and a client can mend. https://www.postgresql.org/docs/current/errcodes-appendix.html
const CLIENT_ERRORS = {
  22021: [422, 'a text contains a character that cannot be stored'],
  23503: [404, 'what it belongs to does not exist'],
  23505: [409, 'such an entry exists already'],
};

async function readJson(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY) throw new Refusal(413, `the body is longer than ${MAX_BODY} bytes`);
    parts.push(part);
  }
  try {
    const body = JSON.parse(Buffer.concat(parts).toString('utf8'));
    if (body && typeof body === 'object' && !Array.isArray(body)) return body;
  } catch {
    // The answer is the same.
  }
  throw new Refusal(400, 'the body must be a JSON object');
}

function send(response, status, body = undefined, headers = {}) {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(text && { 'Content-Type': 'application/json; charset=utf-8' }),
    ...(status !== 204 && { 'Content-Length': Buffer.byteLength(text) }),
    ...headers,
  });
  response.end(text);
}

function refuse(response, error, log, what) {
  const [status, message] = CLIENT_ERRORS[error.code] || [];
  if (error instanceof Refusal) {
    const headers = error.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
    if (error.status === 413) headers.Connection = 'close'; // the rest of the body is not read
    return send(response, error.status, { error: error.message, details: error.details }, headers);
  }
  if (status) return send(response, status, { error: message });
  log.error({ ...what, code: error.code, error: error.message }, 'failed');
  return response.headersSent ? response.destroy() : send(response, 500, { error: 'internal error' });
}

/**
 * A listener for node:http.
 * routes: [[method, pattern, handler]]; a handler gets {request, params, query, body()} and returns [status, body, headers].
 * state: {stopping}; once that is true, every answer ends its connection.
 */
function createListener({ routes, log, state }) {
  return async (request, response) => {
    const began = process.hrtime.bigint();
    const url = new URL(request.url, 'http://localhost');
    const what = { method: request.method, path: url.pathname };
    response.on('close', () => {
      const ms = Number((process.hrtime.bigint() - began) / 1000n) / 1000;
      log[response.statusCode >= 500 ? 'error' : 'info']({ ...what, status: response.statusCode, ms }, 'request');
    });
    const answer = (...parts) => {
      if (state.stopping) response.setHeader('Connection', 'close');
      send(response, ...parts);
    };
    try {
      const here = routes.map(([method, pattern, handler]) => ({ method, handler, match: pattern.exec(url.pathname) }));
      const matching = here.filter(({ match }) => match);
      const route = matching.find(({ method }) => method === request.method);
      if (!matching.length) throw new Refusal(404, 'not found');
      if (!route) {
        answer(405, { error: 'method not allowed' }, { Allow: matching.map(({ method }) => method).join(', ') });
        return;
      }
      const context = { request, params: route.match.groups ?? {}, query: url.searchParams, body: () => readJson(request) };
      answer(...(await route.handler(context)));
    } catch (error) {
      refuse(response, error, log, what);
    }
  };
}

module.exports = { Refusal, createListener };
