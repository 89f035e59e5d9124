'use strict';

/**
 * Reads the settings from the environment; throws one error that names everything that is wrong.
 * @returns {{host: string, port: number, databaseUrl: string, jwtSecret: string, poolMax: number}}
 */
function readConfig(env) {
  const wrong = [];

  function wholeNumber(name, fallback, max) {
    const value = Number(env[name] || fallback);
    if (!Number.isInteger(value) || value < 1 || value > max) wrong.push(`${name} must be a number from 1 to ${max}`);
    return value;
  }

  if (!env.DATABASE_URL) wrong.push('DATABASE_URL is not set');
  if (!env.JWT_SECRET) wrong.push('JWT_SECRET is not set');
  else if (env.JWT_SECRET.length < 32) wrong.push('JWT_SECRET is shorter than 32 characters');
  const config = {
    host: env.HOST || '127.0.0.1',
    port: wholeNumber('PORT', 3000, 65535),
    databaseUrl: env.DATABASE_URL,
    jwtSecret: env.JWT_SECRET,
    poolMax: wholeNumber('DATABASE_POOL_MAX', 10, 1000),
  };
  if (wrong.length) throw new Error(`wrong settings: ${wrong.join('; ')}`);
  return config;
}

module.exports = { readConfig };
