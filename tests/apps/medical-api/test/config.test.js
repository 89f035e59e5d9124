'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { readConfig } = require('../lib/config');

const GOOD = { DATABASE_URL: 'postgresql://db.medical.test/x', JWT_SECRET: 'x'.repeat(44) };

test('good settings get defaults', () => {
  const { host, port, poolMax } = readConfig(GOOD);
  assert.deepEqual([host, port, poolMax], ['127.0.0.1', 3000, 10]);
});

test('all mistakes are named at once, without values', () => {
  assert.throws(
    () => readConfig({ PORT: 'abc', JWT_SECRET: 'short' }),
    (error) => /DATABASE_URL is not set; JWT_SECRET is shorter.*; PORT must be/.test(error.message) && !/abc|"short"/.test(error.message),
  );
});
