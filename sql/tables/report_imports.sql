-- Reconciliation: what a network's own report says, row by row, and where it differs from what is recorded here.

CREATE TABLE postback.report_formats (
    format text CONSTRAINT report_formats_pkey PRIMARY KEY,
    title text NOT NULL,
    columns jsonb NOT NULL,
    statuses jsonb NOT NULL DEFAULT '{}',
    dates text NOT NULL DEFAULT 'ymd',
    ignored_in_amounts text NOT NULL DEFAULT '',
    unconfirmed text[] NOT NULL DEFAULT '{}',
    notes text,
    CONSTRAINT report_formats_dates_are_known CHECK (dates IN ('ymd', 'mdy', 'dmy'))
);
COMMENT ON TABLE postback.report_formats IS 'How the exports of networks are to be read; import_report() takes one by its name, and what else it is told goes over it.';
COMMENT ON COLUMN postback.report_formats.columns IS
    'Field (click_id, transaction_id, conversion_id, event, status, payout, currency, offer_id, time) to array of column names; the first that the '
    'header has counts. Case, spaces and punctuation do not.';
COMMENT ON COLUMN postback.report_formats.statuses IS 'Status word in lower case to pending, approved, rejected or reversed, over the words of the network''s row.';
COMMENT ON COLUMN postback.report_formats.dates IS 'Order in a date: ymd (also ISO 8601 and Unix seconds), mdy or dmy.';
COMMENT ON COLUMN postback.report_formats.ignored_in_amounts IS 'Characters that are taken out of an amount before it is read: its sign of the currency, say; the comma of thousands only where it is known to be one.';
COMMENT ON COLUMN postback.report_formats.unconfirmed IS 'Column names that no page of the vendor confirms: accepted all the same.';

CREATE TABLE postback.report_imports (
    import_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT report_imports_pkey PRIMARY KEY,
    network_id integer NOT NULL CONSTRAINT report_imports_network_fkey REFERENCES postback.networks,
    format text NOT NULL CONSTRAINT report_imports_format_fkey REFERENCES postback.report_formats,
    file_name text,
    columns jsonb NOT NULL,
    time_zone text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    row_count bigint NOT NULL,
    bad_row_count bigint NOT NULL,
    content_hash text NOT NULL,
    imported_at timestamptz NOT NULL,
    imported_by text NOT NULL,
    reconciled_at timestamptz,
    own_time_zone text,
    clock_offset interval,
    matched_by text[],
    matched bigint,
    unpaid bigint,
    discrepancies bigint,
    unexplained bigint,
    unexplained_share numeric,
    threshold numeric,
    investigate boolean,
    CONSTRAINT report_imports_content_key UNIQUE (network_id, content_hash),
    CONSTRAINT report_imports_days_are_ordered CHECK (first_day <= last_day)
);
COMMENT ON TABLE postback.report_imports IS 'Each report of a network that was imported, and what came of the last reconcile().';
COMMENT ON COLUMN postback.report_imports.columns IS 'Field to the column of the file that it was read from.';
COMMENT ON COLUMN postback.report_imports.time_zone IS 'Zone of the report''s times and days.';
COMMENT ON COLUMN postback.report_imports.first_day IS 'First day that the report covers, in its zone; last_day is the last one.';
COMMENT ON COLUMN postback.report_imports.row_count IS 'Rows of the file without its header; those that could not be read (bad_row_count) among them.';
COMMENT ON COLUMN postback.report_imports.content_hash IS 'Recognises a report that is imported twice for the same network.';
COMMENT ON COLUMN postback.report_imports.own_time_zone IS 'Zone of the days that it was compared with.';
COMMENT ON COLUMN postback.report_imports.clock_offset IS 'How far the report''s times are from ours, for most rows, in quarters of an hour: is time_zone right?';
COMMENT ON COLUMN postback.report_imports.matched_by IS 'Fields that both sides have in common, which rows and conversions were paired by.';
COMMENT ON COLUMN postback.report_imports.matched IS 'Rows that agree with a conversion in status, payout and currency.';
COMMENT ON COLUMN postback.report_imports.unpaid IS 'Rows and conversions that only one side has and that pay nothing: no discrepancy.';
COMMENT ON COLUMN postback.report_imports.discrepancies IS 'Rows of postback.discrepancies.';
COMMENT ON COLUMN postback.report_imports.unexplained IS 'Discrepancies without a known cause, and rows that could not be read.';
COMMENT ON COLUMN postback.report_imports.unexplained_share IS 'unexplained to all rows and missing conversions, 0 to 1.';
COMMENT ON COLUMN postback.report_imports.investigate IS 'Whether unexplained_share is above threshold.';

CREATE TABLE postback.report_rows (
    -- No foreign key: each of a million rows would look at the one import.
    import_id bigint NOT NULL,
    line bigint NOT NULL,
    click_id text COLLATE "C",
    transaction_id text COLLATE "C",
    network_conversion_id text COLLATE "C",
    event text COLLATE "C",
    raw_status text,
    status postback.conversion_status,
    payout numeric,
    currency text COLLATE "C",
    network_offer_id text,
    happened_at timestamptz,
    problem text,
    CONSTRAINT report_rows_pkey PRIMARY KEY (import_id, line)
);
COMMENT ON TABLE postback.report_rows IS 'The rows of the imported reports, also those that could not be read.';
COMMENT ON COLUMN postback.report_rows.line IS 'Line of the file; the header is the first.';
COMMENT ON COLUMN postback.report_rows.status IS 'Status by the words of the format and of the network.';
COMMENT ON COLUMN postback.report_rows.payout IS 'Payout in currency; NULL where the report has none.';
COMMENT ON COLUMN postback.report_rows.happened_at IS 'When the report says it happened.';
COMMENT ON COLUMN postback.report_rows.problem IS 'Why the row could not be read; such a row is compared with nothing.';

-- A row that is loaded and not imported in the same transaction belongs to no import. Nothing to log: what commits here is a mistake.
CREATE UNLOGGED TABLE postback.report_lines (
    loaded_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    line_number bigint GENERATED BY DEFAULT AS IDENTITY,
    line text,
    fields text[]
);
COMMENT ON TABLE postback.report_lines IS
    'Where a report is copied to, line by line with its header, for import_report() in the same transaction, which takes it out again.';
COMMENT ON COLUMN postback.report_lines.line IS 'One line of a CSV file as it is.';
COMMENT ON COLUMN postback.report_lines.fields IS 'Or its fields, already parted.';

CREATE TABLE postback.discrepancies (
    discrepancy_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT discrepancies_pkey PRIMARY KEY,
    import_id bigint NOT NULL CONSTRAINT discrepancies_import_fkey REFERENCES postback.report_imports ON DELETE CASCADE,
    kind text NOT NULL,
    cause text NOT NULL,
    line bigint,
    conversion_id text COLLATE "C",
    bucket smallint,
    postback_id text COLLATE "C",
    postback_received_at timestamptz,
    click_id text,
    transaction_id text,
    event text,
    their_status postback.conversion_status,
    our_status postback.conversion_status,
    their_payout numeric,
    our_payout numeric,
    their_currency text,
    our_currency text,
    their_time timestamptz,
    our_time timestamptz,
    evidence text NOT NULL,
    CONSTRAINT discrepancies_kind_is_known CHECK (
        kind IN ('missing_here', 'missing_there', 'status_differs', 'payout_differs', 'duplicate')),
    CONSTRAINT discrepancies_cause_is_known CHECK (
        cause IN ('time_zone_edge', 'status_lag', 'dedupe_rule', 'rounding', 'click_id_truncated', 'postback_refused', 'postback_unmatched',
            'currency', 'row_not_read', 'unexplained')),
    CONSTRAINT discrepancies_have_a_side CHECK (line IS NOT NULL OR conversion_id IS NOT NULL)
);
CREATE INDEX discrepancies_import_idx ON postback.discrepancies (import_id, cause);
COMMENT ON TABLE postback.discrepancies IS 'Where an imported report and the conversions differ, one row each, with the cause; reconcile() writes them anew.';
COMMENT ON COLUMN postback.discrepancies.kind IS
    'missing_here: the report has it, we do not; missing_there: the other way round; status_differs; payout_differs; duplicate: the report has it twice.';
COMMENT ON COLUMN postback.discrepancies.cause IS
    'time_zone_edge: its day differs between the zones; status_lag: one side is not there yet; dedupe_rule: one side counts once what the other '
    'counts more often; rounding: by a minor unit of the currency at most; click_id_truncated: cut off or in another case; postback_refused and '
    'postback_unmatched: postback_id names the message; currency: not the same; row_not_read: the report has it in a row that could not be read; else unexplained.';
COMMENT ON COLUMN postback.discrepancies.line IS 'The row of report_rows.';
COMMENT ON COLUMN postback.discrepancies.postback_id IS 'The postback that tells why.';
COMMENT ON COLUMN postback.discrepancies.evidence IS 'What was seen, in words.';

-- What reconcile() works on: what does not agree at once. Its rows go before it ends; nothing to log.
CREATE UNLOGGED TABLE _postback.apart (
    apart_id bigint GENERATED ALWAYS AS IDENTITY,
    import_id bigint NOT NULL,
    kind text,
    cause text,
    evidence text,
    line bigint,
    nth bigint,
    first_line bigint,
    raw_status text,
    their_click_id text COLLATE "C",
    their_transaction_id text COLLATE "C",
    their_event text COLLATE "C",
    their_status postback.conversion_status,
    their_payout numeric,
    their_currency text COLLATE "C",
    their_time timestamptz,
    conversion_id text COLLATE "C",
    bucket smallint,
    our_click_id text COLLATE "C",
    our_transaction_id text COLLATE "C",
    our_event text COLLATE "C",
    our_status postback.conversion_status,
    our_payout numeric,
    our_currency text COLLATE "C",
    our_time timestamptz,
    postback_id text COLLATE "C",
    postback_received_at timestamptz
);
COMMENT ON TABLE _postback.apart IS 'Empty but inside reconcile(): rows and conversions without the other, and pairs that do not agree.';
