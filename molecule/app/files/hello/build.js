'use strict';

// Shows what a build can see: who it is, and its environment.

const fs = require('node:fs');
const ms = require('ms');

fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/build.json', JSON.stringify({ uid: process.getuid(), env: process.env, hour: ms('1h') }));
