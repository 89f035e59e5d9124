'use strict';

// Makes .next/standalone complete: Next.js leaves out what a CDN might serve, and this app's own server takes the place of Next's.

const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const target = path.join(root, '.next/standalone');

for (const name of ['.next/static', 'public', 'server.js', 'lib/serve.js']) {
  const from = path.join(root, name);
  if (fs.existsSync(from)) fs.cpSync(from, path.join(target, name), { recursive: true });
}
