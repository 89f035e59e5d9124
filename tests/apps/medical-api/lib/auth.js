'use strict';

const jwt = require('jsonwebtoken');

/** The claims of `Authorization: Bearer <token>`, or null if the token is missing, forged or expired. */
function claimsOf(request, secret) {
  const [scheme, token] = (request.headers.authorization || '').split(' ');
  if (!token || scheme.toLowerCase() !== 'bearer') return null;
  try {
    return jwt.verify(token, secret, { algorithms: ['HS256'] });
  } catch {
    return null;
  }
}

function requireToken(secret) {
  return (request, response, next) => {
    if (claimsOf(request, secret)) return next();
    response.set('WWW-Authenticate', 'Bearer');
    return response.status(401).json({ error: 'a valid bearer token is required' });
  };
}

module.exports = { claimsOf, requireToken };
