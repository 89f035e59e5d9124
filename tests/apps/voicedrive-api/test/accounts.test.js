'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { hashPassword, isPassword } = require('../lib/accounts');

test('a password is kept as a salted hash', async () => {
  const [one, other] = await Promise.all([hashPassword('the same'), hashPassword('the same')]);
  assert.notEqual(one, other);
  assert.ok(await isPassword('the same', one));
  assert.ok(!(await isPassword('another', one)));
});
