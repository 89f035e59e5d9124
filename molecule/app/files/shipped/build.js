'use strict';

// Shows what a build on the controller can see, and gives each build a mark of its own.

const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const ms = require('ms');

fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/build.json', JSON.stringify({ env: process.env, hour: ms('1h'), mark: randomUUID() }));
fs.writeFileSync('dist/run.sh', '#!/bin/sh\n', { mode: 0o755 });
fs.symlinkSync('run.sh', 'dist/run');
