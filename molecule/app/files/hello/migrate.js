'use strict';

// Leaves a line for each time that it ran, where the app's user may write.

const fs = require('node:fs');

if (!process.env.MIGRATION_PASSWORD) throw new Error('MIGRATION_PASSWORD is not set');
fs.appendFileSync('data/migrations.log', `${JSON.parse(fs.readFileSync('RELEASE.json', 'utf8')).id}\n`);
