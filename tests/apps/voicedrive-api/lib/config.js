'use strict';

/**
 * Reads the settings from the environment; throws one error that names everything that is wrong.
 * @returns {{host: string, port: number, databaseUrl: string, poolMax: number, redisUrl: string, mayEat: boolean}}
 */
function readConfig(env) {
  const wrong = [];

  function wholeNumber(name, fallback, min, max) {
    const value = Number(env[name] || fallback);
    if (!Number.isInteger(value) || value < min || value > max) {
      wrong.push(`${name} must be a number from ${min} to ${max}`);
    }
    return value;
  }

  if (!env.DATABASE_URL) wrong.push('DATABASE_URL is not set');
  if (env.REDIS_URL && !/^rediss?:\/\//.test(env.REDIS_URL)) wrong.push('REDIS_URL does not begin with redis://');
  const config = {
    host: env.HOST || '127.0.0.1',
    port: wholeNumber('PORT', 3001, 1, 65535),
    databaseUrl: env.DATABASE_URL,
    // Without Redis one of the connections listens for the feed.
    poolMax: wholeNumber('DATABASE_POOL_MAX', 10, env.REDIS_URL ? 1 : 2, 1000),
    redisUrl: env.REDIS_URL || '',
    mayEat: env.TEST_EAT_MEMORY === '1',
  };
  if (wrong.length) throw new Error(`wrong settings: ${wrong.join('; ')}`);
  return config;
}

module.exports = { readConfig };
