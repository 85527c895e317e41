-- What is watched, what is wrong now, and what the alerts and the launch checklist are told from outside.

CREATE TABLE postback.alert_rules (
    name text CONSTRAINT alert_rules_pkey PRIMARY KEY,
    metric text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    severity text NOT NULL DEFAULT 'warning',
    duration interval NOT NULL,
    baseline_days integer NOT NULL DEFAULT 7,
    direction text NOT NULL,
    relative boolean NOT NULL,
    threshold numeric NOT NULL,
    minimum_volume numeric NOT NULL,
    CONSTRAINT alert_rules_name_is_free CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$' AND name NOT IN ('destination_disabled', 'fraud_rule_failed')),
    CONSTRAINT alert_rules_metric_is_known CHECK (metric IN (
        'conversion_rate', 'refused_share', 'unmatched_share', 'payout_per_conversion', 'spool_depth', 'discrepancy_share', 'fraud_flags')),
    CONSTRAINT alert_rules_severity_is_known CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT alert_rules_duration_is_sane CHECK (duration BETWEEN interval '1 minute' AND interval '31 days'),
    CONSTRAINT alert_rules_baseline_is_sane CHECK (baseline_days BETWEEN 0 AND 28),
    -- The same hours of earlier days: the days of a duration must not overlap.
    CONSTRAINT alert_rules_baseline_is_of_hours CHECK (baseline_days = 0 OR duration <= interval '12 hours'),
    CONSTRAINT alert_rules_direction_is_known CHECK (direction IN ('drop', 'rise', 'either')),
    CONSTRAINT alert_rules_relative_needs_a_baseline CHECK (NOT relative OR baseline_days > 0),
    CONSTRAINT alert_rules_threshold_is_positive CHECK (threshold > 0),
    CONSTRAINT alert_rules_minimum_volume_is_not_negative CHECK (minimum_volume >= 0)
);
COMMENT ON TABLE postback.alert_rules IS 'What check_alerts() watches: a metric over the last minutes against the same hours of earlier days.';
COMMENT ON COLUMN postback.alert_rules.name IS 'The kind of its alerts.';
COMMENT ON COLUMN postback.alert_rules.metric IS
    'conversion_rate per offer: of the human clicks of one duration, those that converted within the next one. refused_share and unmatched_share per '
    'network: of its postbacks. payout_per_conversion per offer and currency. spool_depth per proxy: requests in its spool. discrepancy_share per '
    'network: unexplained share of its newest reconciled report. fraud_flags per fraud rule: flags raised.';
COMMENT ON COLUMN postback.alert_rules.severity IS 'info, warning or critical: passed on to the alert.';
COMMENT ON COLUMN postback.alert_rules.duration IS 'Length of the period that is measured; it ends now.';
COMMENT ON COLUMN postback.alert_rules.baseline_days IS 'So many days before, the same hours are what is usual; 0: nothing is, and the value itself is compared with the threshold. Of a network without such hours no postback is usually refused or unmatched.';
COMMENT ON COLUMN postback.alert_rules.direction IS 'Which change is an alert: drop, rise or either.';
COMMENT ON COLUMN postback.alert_rules.relative IS 'Whether threshold is a share of what is usual (0.5: by half), else a difference in the metric''s own unit.';
COMMENT ON COLUMN postback.alert_rules.threshold IS 'How large the change has to be. Shares are 0 to 1. What may be chance (three standard errors of a share) is no alert.';
COMMENT ON COLUMN postback.alert_rules.minimum_volume IS 'Clicks, postbacks, conversions, rows or flags in the period below which nothing is said.';

INSERT INTO postback.alert_rules (name, metric, severity, duration, baseline_days, direction, relative, threshold, minimum_volume) VALUES
    ('conversion_rate_drop', 'conversion_rate', 'critical', '1 hour', 7, 'drop', true, 0.5, 200),
    ('conversion_rate_rise', 'conversion_rate', 'warning', '1 hour', 7, 'rise', true, 2, 200),
    ('refused_postbacks', 'refused_share', 'critical', '30 minutes', 7, 'rise', false, 0.1, 10),
    ('unmatched_postbacks', 'unmatched_share', 'warning', '1 hour', 7, 'rise', false, 0.1, 10),
    ('payout_changed', 'payout_per_conversion', 'warning', '3 hours', 7, 'either', true, 0.5, 10),
    ('spool_fills', 'spool_depth', 'critical', '10 minutes', 0, 'rise', false, 1000, 0),
    ('report_discrepancies', 'discrepancy_share', 'warning', '8 days', 0, 'rise', false, 0.02, 20),
    ('fraud_flags_rise', 'fraud_flags', 'warning', '1 hour', 7, 'rise', false, 20, 0);

CREATE TABLE postback.alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT alerts_pkey PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    severity text NOT NULL DEFAULT 'warning',
    message text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    raised_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at timestamptz,
    CONSTRAINT alerts_severity_is_known CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT alerts_are_seen_later CHECK (last_seen_at >= raised_at),
    CONSTRAINT alerts_are_resolved_later CHECK (resolved_at >= raised_at)
);
CREATE UNIQUE INDEX alerts_open_key ON postback.alerts (kind, subject) WHERE resolved_at IS NULL;
COMMENT ON TABLE postback.alerts IS
    'What somebody should look at: one row per incident, at most one open per kind and subject. Each is notified on the channel postback_alerts and told '
    'to the destinations with the event alert, when it is raised and when it is resolved.';
COMMENT ON COLUMN postback.alerts.kind IS 'destination_disabled, fraud_rule_failed, or the name of the row of alert_rules.';
COMMENT ON COLUMN postback.alerts.subject IS 'What it is about: the name of the destination; offer, network, proxy or fraud rule.';
COMMENT ON COLUMN postback.alerts.severity IS 'info, warning or critical.';
COMMENT ON COLUMN postback.alerts.evidence IS 'The numbers behind it, as last seen.';
COMMENT ON COLUMN postback.alerts.last_seen_at IS 'When it was last found so.';
COMMENT ON COLUMN postback.alerts.resolved_at IS 'When it was over; NULL while it is open.';

-- What each proxy last said of its spool. Told when the database answers, so a depth is told when it falls.
CREATE TABLE _postback.spools (
    client_address inet NOT NULL,
    listen text NOT NULL,
    told_at timestamptz NOT NULL,
    records bigint NOT NULL,
    bytes bigint NOT NULL,
    oldest_at timestamptz,
    CONSTRAINT spools_pkey PRIMARY KEY (client_address, listen)
);
COMMENT ON TABLE _postback.spools IS 'How much each proxy has in its spool; a proxy without one says nothing.';

CREATE TABLE postback.preflight_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT preflight_runs_pkey PRIMARY KEY,
    ran_at timestamptz NOT NULL,
    send_id bigint,
    offer_id bigint,
    url_template text,
    ok boolean NOT NULL,
    carries_click_id boolean NOT NULL,
    lost_at text,
    redirects integer NOT NULL,
    redirects_limit integer NOT NULL,
    page_ok boolean NOT NULL,
    hops jsonb NOT NULL
);
CREATE INDEX preflight_runs_offer_idx ON postback.preflight_runs (offer_id, ran_at);
COMMENT ON TABLE postback.preflight_runs IS 'What postback-proxy preflight found when it followed a live link; preflight() shows the newest one.';
COMMENT ON COLUMN postback.preflight_runs.send_id IS 'Whose link was followed.';
COMMENT ON COLUMN postback.preflight_runs.url_template IS 'The offer''s template at that time: once it has changed, the run says nothing.';
COMMENT ON COLUMN postback.preflight_runs.lost_at IS 'Between which hops the click id was lost, and how.';
COMMENT ON COLUMN postback.preflight_runs.redirects IS 'How many redirects there were; redirects_limit is how many there may be.';
COMMENT ON COLUMN postback.preflight_runs.page_ok IS 'Whether / of the short domain answered with a page.';
COMMENT ON COLUMN postback.preflight_runs.hops IS 'Array of {host, status, carried_by}: hosts, no URLs.';
