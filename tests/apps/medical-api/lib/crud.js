'use strict';

const { Router } = require('express');
const { isId, mistakes } = require('./fields');

const PAGE = 100;

/** Columns come from the resource's own list, never from the request: safe to put into SQL. */
function assignments(fields, body) {
  const columns = Object.keys(fields).filter((name) => Object.hasOwn(body, name));
  return { columns, values: columns.map((name) => body[name]) };
}

/** list, get, create, update and delete for one table. */
function crud({ name, fields, orderBy }, database) {
  const router = Router();

  router.param('id', (request, response, next, value) => {
    if (isId(Number(value))) return next();
    return response.status(404).json({ error: `no such ${name} entry` });
  });

  function one(response, result, status = 200) {
    if (result.rowCount === 0) return response.status(404).json({ error: `no such ${name} entry` });
    return response.status(status).json(result.rows[0]);
  }

  function good(request, response, partial) {
    const wrong = mistakes(fields, request.body, partial);
    if (wrong.length) response.status(400).json({ error: 'the request is not valid', details: wrong });
    return wrong.length === 0;
  }

  router.get('/', async (request, response) => {
    const offset = Number(request.query.offset ?? 0);
    if (!Number.isInteger(offset) || offset < 0 || offset > Number.MAX_SAFE_INTEGER) {
      return response.status(400).json({ error: 'the request is not valid', details: ['offset: must be 0 or more'] });
    }
    const result = await database.query(`SELECT * FROM ${name} ORDER BY ${orderBy} LIMIT ${PAGE} OFFSET $1`, [offset]);
    return response.json(result.rows);
  });

  router.get('/:id', async (request, response) => {
    one(response, await database.query(`SELECT * FROM ${name} WHERE id = $1`, [request.params.id]));
  });

  router.post('/', async (request, response) => {
    if (!good(request, response, false)) return;
    const { columns, values } = assignments(fields, request.body);
    const places = columns.map((_, index) => `$${index + 1}`);
    const sql = `INSERT INTO ${name} (${columns.join(', ')}) VALUES (${places.join(', ')}) RETURNING *`;
    const result = await database.query(sql, values);
    response.location(`${request.baseUrl}/${result.rows[0].id}`);
    one(response, result, 201);
  });

  router.patch('/:id', async (request, response) => {
    if (!good(request, response, true)) return;
    const { columns, values } = assignments(fields, request.body);
    const sets = columns.map((column, index) => `${column} = $${index + 2}`);
    const sql = `UPDATE ${name} SET ${sets.join(', ')}, updated_at = now() WHERE id = $1 RETURNING *`;
    one(response, await database.query(sql, [request.params.id, ...values]));
  });

  router.delete('/:id', async (request, response) => {
    const result = await database.query(`DELETE FROM ${name} WHERE id = $1`, [request.params.id]);
    if (result.rowCount === 0) return response.status(404).json({ error: `no such ${name} entry` });
    return response.status(204).end();
  });

  return router;
}

module.exports = { crud };
