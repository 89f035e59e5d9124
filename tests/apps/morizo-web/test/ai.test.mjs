import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

const { health, search } = await import('../lib/ai.mjs');

function serve(status, body) {
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      process.env.MORIZO_AI_URL = `http://127.0.0.1:${server.address().port}`;
      resolve({ asked, server });
    });
  });
}

test('a question reaches the API whole, and its answer comes back', async () => {
  const { asked, server } = await serve(200, '{"results": ["味噌汁"]}');
  assert.deepEqual(await search('味噌 & 豆腐?'), { ok: true, body: { results: ['味噌汁'] } });
  assert.equal(new URL(asked[0], 'http://x').searchParams.get('q'), '味噌 & 豆腐?');
  assert.equal((await health()).ok, true);
  server.close();
});

test('an answer that is none is said, not thrown', async () => {
  const { server } = await serve(500, '{}');
  assert.deepEqual(await health(), { ok: false, reason: 'the API answered 500' });
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  assert.deepEqual(await health(), { ok: false, reason: 'the API does not answer: ECONNREFUSED' });
  delete process.env.MORIZO_AI_URL;
  assert.deepEqual(await search('x'), { ok: false, reason: 'MORIZO_AI_URL is not set' });
});
