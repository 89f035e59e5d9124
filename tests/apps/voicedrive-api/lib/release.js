'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** What the deploy wrote about this release; empty where nothing was deployed. */
function readRelease(directory) {
  try {
    const { id = null, commit = null } = JSON.parse(fs.readFileSync(path.join(directory, 'RELEASE.json'), 'utf8'));
    return { id, commit };
  } catch (error) {
    if (error.code === 'ENOENT') return { id: null, commit: null };
    throw new Error(`RELEASE.json cannot be read: ${error.message}`);
  }
}

module.exports = { readRelease };
