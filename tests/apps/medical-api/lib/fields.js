'use strict';

// Kinds of columns. check(value) says what is wrong with a value, or nothing.

const MAX_ID = 2 ** 31 - 1;

function kind(options, check) {
  return { required: false, ...options, check };
}

const text = (options = {}) =>
  kind(options, (value) => {
    if (typeof value !== 'string') return 'must be a string';
    if (value.trim() === '') return 'must not be empty';
    if (value.includes('\0')) return 'must not contain a NUL character';
    if (value.length > options.max) return `must be at most ${options.max} characters long`;
    return undefined;
  });

const boolean = (options = {}) =>
  kind(options, (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'));

const number = (options = {}) =>
  kind(options, (value) =>
    Number.isFinite(value) && value >= options.min && value <= options.max
      ? undefined
      : `must be a number from ${options.min} to ${options.max}`,
  );

const isId = (value) => Number.isInteger(value) && value >= 1 && value <= MAX_ID;

const id = (options = {}) => kind(options, (value) => (isId(value) ? undefined : 'must be an id'));

const oneOf = (values, options = {}) =>
  kind(options, (value) => (values.includes(value) ? undefined : `must be one of ${values.join(', ')}`));

function isDate(value) {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const parsed = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(value);
}

const date = (options = {}) =>
  kind(options, (value) => (isDate(value) ? undefined : 'must be a date such as 2025-04-01'));

/**
 * What is wrong with a request body.
 * @param {object} fields column -> kind
 * @param {boolean} partial an update need not name the required columns
 * @returns {string[]} one message per mistake; empty if the body is good
 */
function mistakes(fields, body, partial) {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return ['the body must be a JSON object'];
  const names = Object.keys(body);
  const found = names
    .filter((name) => !Object.hasOwn(fields, name))
    .map((name) => `${name}: unknown; known are ${Object.keys(fields).join(', ')}`);
  if (names.length === 0) found.push('the body is empty');
  for (const [name, field] of Object.entries(fields)) {
    const given = Object.hasOwn(body, name);
    if (!given && field.required && !partial) found.push(`${name}: required`);
    if (!given) continue;
    const mistake = body[name] === null && !field.required ? undefined : field.check(body[name]);
    if (mistake) found.push(`${name}: ${mistake}`);
  }
  return found;
}

module.exports = { boolean, date, id, isId, mistakes, number, oneOf, text };
