'use strict';

// Applies migrations/*.sql that the database has not seen, in order of their names: one transaction per file, and one
// runner at a time. Connects with MIGRATION_DATABASE_URL, a role that may create tables, or else with DATABASE_URL.

const fs = require('node:fs');
const path = require('node:path');
const { Client } = require('pg');

require('dotenv').config({ path: path.join(__dirname, '..', '.env'), quiet: true });

const DIRECTORY = path.join(__dirname, '..', 'migrations');
const LOCK = 4711_0002; // any number, as long as all runners take the same

async function apply(client, name) {
  await client.query('BEGIN');
  try {
    await client.query(fs.readFileSync(path.join(DIRECTORY, name), 'utf8'));
    await client.query('INSERT INTO schema_migrations (name) VALUES ($1)', [name]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw new Error(`${name}: ${error.message}`);
  }
}

async function migrate(client) {
  await client.query('SELECT pg_advisory_lock($1)', [LOCK]); // held until the connection ends
  await client.query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const { rows } = await client.query('SELECT name FROM schema_migrations');
  const applied = new Set(rows.map((row) => row.name));
  const names = fs.readdirSync(DIRECTORY).filter((name) => name.endsWith('.sql'));
  const pending = names.filter((name) => !applied.has(name)).sort();
  for (const name of pending) {
    await apply(client, name);
    console.log(`applied ${name}`);
  }
  console.log(`${pending.length} applied, ${applied.size} were there before`);
}

async function main() {
  const connectionString = process.env.MIGRATION_DATABASE_URL || process.env.DATABASE_URL;
  if (!connectionString) throw new Error('neither MIGRATION_DATABASE_URL nor DATABASE_URL is set');
  const client = new Client({ connectionString, connectionTimeoutMillis: 10000, application_name: 'voicedrive-api migrate' });
  await client.connect();
  try {
    await migrate(client);
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(`migrate: ${error.message || error.code}`);
  process.exit(1);
});
