-- What partners have been paid and what they are due.

CREATE VIEW postback.partner_balances AS
SELECT b.partner_id, p.name AS partner, t.name AS tier, b.currency, sum(b.due) AS due, sum(b.withheld) AS withheld, sum(b.paid) AS paid,
       max(b.last_paid_at) AS last_paid_at
FROM (
    SELECT d.partner_id, d.currency::postback.currency, sum(d.amount) AS due, sum(d.withheld) AS withheld, 0 AS paid, NULL::timestamptz AS last_paid_at
    FROM postback.payables() AS d GROUP BY d.partner_id, d.currency
    UNION ALL
    SELECT s.partner_id, s.currency, 0, 0, sum(s.amount), max(s.closed_at) FROM postback.statements AS s GROUP BY s.partner_id, s.currency) AS b
JOIN postback.partners AS p ON p.partner_id = b.partner_id
JOIN postback.payout_tiers AS t ON t.tier_id = p.tier_id
GROUP BY b.partner_id, p.name, t.name, b.currency;
COMMENT ON VIEW postback.partner_balances IS
    'What is each partner due now (below 0: a debt), what is withheld for the time being, and what do the closed statements say was paid?';

CREATE VIEW postback.statement_log AS
SELECT s.statement_id, s.partner_id, p.name AS partner, s.until, s.currency, s.amount, l.share, l.clawback, l.carried, l.forfeited, s.closed_at, s.actor
FROM postback.statements AS s
JOIN postback.partners AS p ON p.partner_id = s.partner_id
JOIN (
    SELECT i.statement_id, coalesce(sum(i.amount) FILTER (WHERE i.reason = 'share'), 0) AS share,
           coalesce(sum(i.amount) FILTER (WHERE i.reason = 'clawback'), 0) AS clawback,
           coalesce(sum(i.amount) FILTER (WHERE i.conversion_id IS NULL), 0) AS carried, sum(i.forfeited) AS forfeited
    FROM postback.statement_lines AS i GROUP BY i.statement_id) AS l ON l.statement_id = s.statement_id;
COMMENT ON VIEW postback.statement_log IS 'What has each statement paid, and how is it made up? amount = share + clawback + carried; its lines are statement_lines.';
