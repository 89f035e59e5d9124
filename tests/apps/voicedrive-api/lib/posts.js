'use strict';

// Own tables without a schema: the search path of the database user names it. Shared ones with theirs.

const POST = `SELECT posts.id, posts.body, posts.created_at, author_id, users.name AS author,
  (SELECT count(*)::integer FROM comments WHERE post_id = posts.id) AS comments
  FROM posts LEFT JOIN common.users ON users.id = author_id`;
const COMMENT = `SELECT comments.id, post_id, comments.body, comments.created_at, author_id, users.name AS author
  FROM comments LEFT JOIN common.users ON users.id = author_id`;

function createPosts({ query }) {
  const rows = async (text, values) => (await query(text, values)).rows;
  const first = async (text, values) => (await rows(text, values))[0] ?? null;

  const one = (id) => first(`${POST} WHERE posts.id = $1`, [id]);
  const comment = (id) => first(`${COMMENT} WHERE comments.id = $1`, [id]);

  return {
    one,
    comment,
    list: (before, count) => rows(`${POST} WHERE posts.id < $1 ORDER BY posts.id DESC LIMIT $2`, [before, count]),
    comments: (id) => rows(`${COMMENT} WHERE post_id = $1 ORDER BY comments.id`, [id]),
    async add({ id, name }, { body }) {
      const made = await first('INSERT INTO posts (author_id, body) VALUES ($1, $2) RETURNING *', [id, body]);
      return { ...made, author: name, comments: 0 };
    },
    async addComment({ id, name }, postId, { body }) {
      const values = [postId, id, body];
      const made = await first('INSERT INTO comments (post_id, author_id, body) VALUES ($1, $2, $3) RETURNING *', values);
      return { ...made, author: name };
    },
    remove: ({ id }, postId) => first('DELETE FROM posts WHERE id = $1 AND author_id = $2 RETURNING id', [postId, id]),
  };
}

module.exports = { createPosts };
