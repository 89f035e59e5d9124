CREATE TABLE evaluations (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    staff_id integer NOT NULL REFERENCES staff (id),
    evaluation_period text NOT NULL,
    score numeric(4, 1) NOT NULL CHECK (score BETWEEN 0 AND 100),
    comment text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (staff_id, evaluation_period)
);
