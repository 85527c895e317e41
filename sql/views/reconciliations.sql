-- What analysts read of the networks' own reports and where they differ from what is recorded here.

CREATE VIEW postback.reconciliations AS
SELECT i.import_id, n.slug AS network, i.first_day, i.last_day, i.time_zone, i.own_time_zone, i.row_count, i.bad_row_count, i.matched, i.unpaid,
       i.discrepancies, i.unexplained, i.unexplained_share, i.threshold, i.investigate, i.clock_offset, i.imported_at, i.reconciled_at, i.file_name
FROM postback.report_imports AS i JOIN postback.networks AS n ON n.network_id = i.network_id;
COMMENT ON VIEW postback.reconciliations IS 'Each imported report: what it covers, how much of it agrees, and whether somebody should look (investigate).';

CREATE VIEW postback.discrepancy_log AS
SELECT d.import_id, n.slug AS network, d.kind, d.cause, d.line, d.conversion_id, d.click_id, d.transaction_id, d.event, d.their_status, d.our_status,
       d.their_payout, d.our_payout, d.their_currency, d.our_currency, d.their_time, d.our_time, d.postback_id, d.postback_received_at, d.evidence
FROM postback.discrepancies AS d
JOIN postback.report_imports AS i ON i.import_id = d.import_id
JOIN postback.networks AS n ON n.network_id = i.network_id;
COMMENT ON VIEW postback.discrepancy_log IS 'Each difference between a report and the conversions, with its cause and what was seen; postback_log has the postback.';

CREATE VIEW postback.report_problems AS
SELECT r.import_id, r.line, r.problem, r.click_id, r.transaction_id, r.raw_status FROM postback.report_rows AS r WHERE r.problem IS NOT NULL;
COMMENT ON VIEW postback.report_problems IS 'The rows of imported reports that could not be read, by line of the file, and why.';

CREATE VIEW postback.reports_due AS
SELECT n.slug AS network, max(i.imported_at) AS imported_at, max(i.imported_at) + interval '7 days' AS due_at
FROM postback.networks AS n LEFT JOIN postback.report_imports AS i ON i.network_id = n.network_id
WHERE n.reconcile_weekly
GROUP BY n.slug;
COMMENT ON VIEW postback.reports_due IS
    'The networks that are to be reconciled weekly: when their last report was imported, and when the next one is due; NULL: no report came yet, it is due now.';
