-- author_id is an id of common.users. No foreign key leaves this schema: its owner need not be the owner of the other one.
CREATE TABLE posts (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author_id integer NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX posts_author_id ON posts (author_id);
