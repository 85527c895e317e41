-- What analysts see of flags: never an address or a user agent.

CREATE VIEW postback.flag_log AS
SELECT f.flag_id, f.rule, f.severity, f.action, f.status, f.subject_kind, CASE WHEN f.subject_kind NOT IN ('address', 'range') THEN f.subject END AS subject,
       f.clicks, f.conversions, f.postbacks, f.first_at, f.last_at, f.opened_at, f.updated_at, f.evidence, f.decision, f.closed_at
FROM postback.flags AS f;
COMMENT ON VIEW postback.flag_log IS 'What fraud rules found, and what was decided. A subject that is an address or a range is left out.';

CREATE VIEW postback.flagged_conversions AS
SELECT i.item AS conversion_id, i.bucket, i.flag_id, i.rule, f.status, f.decision,
       f.status = 'open' AND f.action IN ('hold', 'reject') OR f.decision IS NOT DISTINCT FROM 'reject' AS held
FROM _postback.flag_items AS i JOIN postback.flags AS f ON f.flag_id = i.flag_id
WHERE i.kind = 'conversion';
COMMENT ON VIEW postback.flagged_conversions IS 'Which conversions does each flag name, and does it keep them from being paid out?';

CREATE VIEW postback.flagged_clicks AS
SELECT i.item AS click_id, i.bucket, i.flag_id, i.rule, f.status, f.decision
FROM _postback.flag_items AS i JOIN postback.flags AS f ON f.flag_id = i.flag_id
WHERE i.kind = 'click';
COMMENT ON VIEW postback.flagged_clicks IS 'Which clicks does each flag name?';
