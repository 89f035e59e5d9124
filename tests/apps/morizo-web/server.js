'use strict';

// Serves the build, over HTTPS where it is given a certificate. Runs beside node_modules, and in a standalone build.

process.env.NODE_ENV ??= 'production';
process.env.NEXT_TELEMETRY_DISABLED ??= '1';

const fs = require('node:fs');
const path = require('node:path');
const { loadEnvConfig } = require('@next/env');

loadEnvConfig(__dirname, false, { info() {}, error: console.error });

const { readConfig, run } = require('./lib/serve');

/** A standalone build has no next.config and nothing to read one with: what it was built with lies beside it. */
function useBuiltConfig() {
  const { config } = JSON.parse(fs.readFileSync(path.join(__dirname, '.next/required-server-files.json'), 'utf8'));
  if (config.output === 'standalone') process.env.__NEXT_PRIVATE_STANDALONE_CONFIG = JSON.stringify(config);
}

async function main() {
  const config = readConfig(process.env);
  useBuiltConfig();
  const app = require('next')({ dev: false, dir: __dirname, hostname: config.host, port: config.port });
  await app.prepare();
  run(config, app.getRequestHandler());
}

main().catch((error) => {
  console.error(`morizo-web: ${error.message}`);
  process.exit(1);
});
