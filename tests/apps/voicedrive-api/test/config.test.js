'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { readConfig } = require('../lib/config');

const GOOD = { DATABASE_URL: 'postgresql://db.medical.test/x' };

test('good settings get defaults', () => {
  const { host, port, poolMax, redisUrl, mayEat } = readConfig(GOOD);
  assert.deepEqual([host, port, poolMax, redisUrl, mayEat], ['127.0.0.1', 3001, 10, '', false]);
});

test('all mistakes are named at once, without values', () => {
  assert.throws(
    () => readConfig({ PORT: 'abc', REDIS_URL: 'http://:geheim@x' }),
    (error) => /DATABASE_URL is not set; REDIS_URL does not.*; PORT must be/.test(error.message) && !/abc|geheim/.test(error.message),
  );
});

test('without Redis one connection is for the feed, so one alone is too few', () => {
  assert.throws(() => readConfig({ ...GOOD, DATABASE_POOL_MAX: '1' }), /from 2 to/);
  assert.equal(readConfig({ ...GOOD, DATABASE_POOL_MAX: '1', REDIS_URL: 'redis://127.0.0.1' }).poolMax, 1);
});
