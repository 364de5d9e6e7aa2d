-- The usual design: a row for each level, a row for each command that was applied, and the movements.
CREATE TABLE level (
    item_id text NOT NULL,
    location_id text NOT NULL,
    on_hand bigint NOT NULL,
    low_stock_threshold bigint,
    PRIMARY KEY (item_id, location_id)
);

CREATE TABLE command (
    command_id uuid PRIMARY KEY,
    item_id text NOT NULL,
    body jsonb NOT NULL,
    outcome jsonb NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE movement (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item_id text NOT NULL,
    location_id text NOT NULL,
    command_id uuid NOT NULL,
    delta bigint NOT NULL,
    on_hand bigint NOT NULL,
    device_id text,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX movement_by_item ON movement (item_id, location_id, movement_id);
