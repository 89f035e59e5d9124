CREATE TABLE interviews (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    staff_id integer NOT NULL REFERENCES staff (id),
    interview_date date NOT NULL,
    kind text NOT NULL DEFAULT 'regular',
    interviewer text,
    notes text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
