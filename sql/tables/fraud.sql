-- What looks like fraud: the rules, what they found, and the address ranges that are not people's.

CREATE TABLE postback.fraud_rules (
    rule text CONSTRAINT fraud_rules_pkey PRIMARY KEY,
    enabled boolean NOT NULL DEFAULT true,
    parameters jsonb NOT NULL DEFAULT '{}',
    severity text NOT NULL DEFAULT 'medium',
    action text NOT NULL DEFAULT 'flag',
    description text NOT NULL,
    CONSTRAINT fraud_rules_parameters_are_known CHECK (_postback.check_fraud_rule(rule, parameters)),
    CONSTRAINT fraud_rules_severity_is_known CHECK (severity IN ('low', 'medium', 'high')),
    CONSTRAINT fraud_rules_action_is_known CHECK (action IN ('flag', 'hold', 'reject'))
);
COMMENT ON TABLE postback.fraud_rules IS 'What is looked for, one row per rule. Change parameters, severity and action as you like; flags keep those they were raised with, but an open one that grows takes on a stricter action.';
COMMENT ON COLUMN postback.fraud_rules.parameters IS 'Numbers of the rule by name, checked when saved; a missing one has its default (see docs/trust.md).';
COMMENT ON COLUMN postback.fraud_rules.action IS
    'flag: a row to look at; hold: its conversions stay out of payables() until it is resolved; reject: they are rejected at once, whatever their network says later.';

INSERT INTO postback.fraud_rules (rule, parameters, severity, description)
SELECT r.rule, _postback.fraud_defaults(r.rule), r.severity, r.description
FROM (VALUES
    ('fast_conversion', 'medium', 'A conversion sooner after its click than a person can be.'),
    ('datacenter_click', 'medium', 'Clicks from a range of ip_ranges, and their conversions. Such clicks become datacenter and earn no credit.'),
    ('address_fan_out', 'high', 'One address taps the links of many subscribers within an hour, mostly with one user agent: no carrier is like that.'),
    ('click_flood', 'low', 'One device taps for one subscriber again and again.'),
    ('perfect_interval', 'medium', 'One device taps at intervals more even than a person''s.'),
    ('spoofed_postbacks', 'high', 'A source sends one postback after another that fails authentication.'),
    ('transaction_reuse', 'high', 'A transaction is reported again with another click, or with a payout that is far from the first.'),
    ('device_diversity', 'medium', 'The clicks of a send, partner or network have far fewer kinds of user agents or address blocks than so many of all others of the hour.'),
    ('geo_anomaly', 'medium', 'Of the people of a send, partner or network far more tap from other countries than where most of a send are, compared with all others of the hour.'),
    ('reversal_rate', 'high', 'The conversions of a send, partner or network are taken back far more often than those of all others.'),
    ('conversion_rate', 'medium', 'The clicks of a send or partner convert far more often than all others of the same offer.')) AS r (rule, severity, description);

CREATE TABLE postback.flags (
    flag_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT flags_pkey PRIMARY KEY,
    rule text NOT NULL CONSTRAINT flags_rule_fkey REFERENCES postback.fraud_rules,
    subject_kind text NOT NULL,
    subject text NOT NULL,
    severity text NOT NULL,
    action text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    clicks bigint NOT NULL DEFAULT 0,
    conversions bigint NOT NULL DEFAULT 0,
    postbacks bigint NOT NULL DEFAULT 0,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    evidence jsonb NOT NULL,
    private_evidence jsonb NOT NULL DEFAULT '{}',
    decision text,
    closed_at timestamptz,
    closed_by text,
    note text,
    CONSTRAINT flags_subject_kind_is_known CHECK (subject_kind IN ('conversion', 'address', 'range', 'send', 'partner', 'network')),
    CONSTRAINT flags_action_is_known CHECK (action IN ('flag', 'hold', 'reject')),
    CONSTRAINT flags_status_is_known CHECK (status IN ('open', 'resolved', 'dismissed')),
    CONSTRAINT flags_decision_is_known CHECK (decision IN ('release', 'reject')),
    CONSTRAINT flags_closed_ones_are_decided CHECK ((status = 'open') = (decision IS NULL) AND (status = 'open') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX flags_open_key ON postback.flags (rule, subject_kind, subject) WHERE status = 'open';
CREATE INDEX flags_closed_idx ON postback.flags (rule, subject_kind, subject) WHERE status <> 'open';
CREATE INDEX flags_opened_at_idx ON postback.flags (opened_at);
COMMENT ON TABLE postback.flags IS 'What the rules found: one open flag per rule and subject, which grows while more of the same is found.';
COMMENT ON COLUMN postback.flags.subject IS 'What it is about: a conversion id, an address, a range, or the number of a send, partner or network.';
COMMENT ON COLUMN postback.flags.clicks IS 'How many clicks it names; likewise conversions and postbacks.';
COMMENT ON COLUMN postback.flags.first_at IS 'Time of the earliest thing that it names.';
COMMENT ON COLUMN postback.flags.evidence IS 'The numbers that decided, beside the rule''s limits; never an address or a user agent.';
COMMENT ON COLUMN postback.flags.private_evidence IS 'Addresses and user agents, for admins.';
COMMENT ON COLUMN postback.flags.decision IS 'How it was closed: release what was held, or reject it. A dismissed flag releases. After a rejection the next flag of its subject holds at least.';
COMMENT ON COLUMN postback.flags.closed_by IS 'Session user that closed it.';

-- What each flag names. A rule names a thing under a subject once, also when the flag has been closed: a second scan finds nothing new.
CREATE TABLE _postback.flag_items (
    rule text NOT NULL,
    subject text NOT NULL,
    kind text NOT NULL,
    item text COLLATE "C" NOT NULL,
    bucket smallint,
    at timestamptz NOT NULL,
    flag_id bigint NOT NULL CONSTRAINT flag_items_flag_fkey REFERENCES postback.flags ON DELETE CASCADE,
    rejected boolean NOT NULL DEFAULT false,
    CONSTRAINT flag_items_pkey PRIMARY KEY (rule, subject, kind, item),
    CONSTRAINT flag_items_kind_is_known CHECK (kind IN ('click', 'conversion', 'postback', 'day'))
);
CREATE INDEX flag_items_flag_idx ON _postback.flag_items (flag_id);
CREATE INDEX flag_items_item_idx ON _postback.flag_items (item, kind);
COMMENT ON TABLE _postback.flag_items IS 'The clicks, conversions and postbacks that each flag names, and the days that a flag of a group is about.';
COMMENT ON COLUMN _postback.flag_items.rejected IS 'Whether the conversion has been rejected for it: once, should somebody approve it again.';

-- An open flag holds; one that was resolved by rejecting still does, should its network approve the conversion again.
CREATE VIEW _postback.holding_flags AS
SELECT f.flag_id, f.opened_at FROM postback.flags AS f WHERE f.status = 'open' AND f.action IN ('hold', 'reject') OR f.decision = 'reject';
COMMENT ON VIEW _postback.holding_flags IS 'Flags for whose conversions nobody is paid.';

CREATE VIEW _postback.held_conversions AS
SELECT i.item AS conversion_id, i.bucket, i.rule, f.opened_at AS since
FROM _postback.flag_items AS i JOIN _postback.holding_flags AS f ON f.flag_id = i.flag_id
WHERE i.kind = 'conversion';
COMMENT ON VIEW _postback.held_conversions IS 'Conversions that are not to be paid out, with the rule that says so; a row per flag.';

CREATE TABLE postback.ip_ranges (
    source text NOT NULL,
    range cidr NOT NULL,
    kind text NOT NULL DEFAULT 'datacenter',
    CONSTRAINT ip_ranges_pkey PRIMARY KEY (source, range),
    CONSTRAINT ip_ranges_kind_is_known CHECK (kind IN ('datacenter', 'carrier'))
);
CREATE INDEX ip_ranges_range_idx ON postback.ip_ranges USING gist (range inet_ops);
COMMENT ON TABLE postback.ip_ranges IS 'Whose addresses these are, from published lists: load_ip_ranges() fills it.';
COMMENT ON COLUMN postback.ip_ranges.source IS 'The list that a range is from, such as aws.';
COMMENT ON COLUMN postback.ip_ranges.kind IS 'datacenter: nobody taps from there; carrier: many people share its addresses.';

-- How far maintain() has scanned. Each rule by itself: one that fails keeps no other.
CREATE TABLE _postback.fraud_state (
    rule text CONSTRAINT fraud_state_pkey PRIMARY KEY CONSTRAINT fraud_state_rule_fkey REFERENCES postback.fraud_rules ON DELETE CASCADE,
    scanned_until timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE _postback.fraud_state IS 'Up to where maintain() has scanned with each rule, and how often it has failed to go on from there.';
COMMENT ON COLUMN _postback.fraud_state.retry_at IS 'Not to be tried again before.';
INSERT INTO _postback.fraud_state (rule, scanned_until)
SELECT r.rule, CASE WHEN _postback.looks_at_hours(r.rule) THEN date_trunc('hour', clock_timestamp(), 'UTC') ELSE clock_timestamp() END FROM postback.fraud_rules AS r;
