'use strict';

/** What the promise resolves to, unless it takes longer than that. */
async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** {ok: true}, or {ok: false, reason} where the promise fails or is late. */
async function verdict(milliseconds, promise) {
  try {
    await within(milliseconds, promise);
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error.message || error.code };
  }
}

module.exports = { verdict, within };
