-- Users and sessions of all systems. Another system may have made them, and may own them: this one then only uses them.
DO $$
BEGIN
    IF to_regnamespace('common') IS NULL THEN
        CREATE SCHEMA common;
    END IF;
    IF to_regclass('common.users') IS NULL THEN
        CREATE TABLE common.users (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            email text NOT NULL UNIQUE,
            name text NOT NULL,
            password_hash text NOT NULL,
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now()
        );
    END IF;
    IF to_regclass('common.sessions') IS NULL THEN
        CREATE TABLE common.sessions (
            token_hash text PRIMARY KEY,
            user_id integer NOT NULL REFERENCES common.users (id) ON DELETE CASCADE,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL
        );
    END IF;
END
$$;
