-- What the log of postbacks tells: each message is put under what is wrong with it; what went on until now is a symptom.

CREATE FUNCTION _postback.symptoms_of_postbacks(networks integer[], since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
BEGIN
    RETURN QUERY
    WITH message AS MATERIALIZED (
        SELECT p.network_id, p.postback_id, p.received_at, p.verdict, p.reason, p.transaction_id, p.raw_status, p.payout, p.conversion_id,
               row_number() OVER (PARTITION BY p.network_id ORDER BY p.received_at, p.postback_id) AS place
        FROM postback.postbacks AS p
        WHERE p.network_id = ANY (networks) AND p.received_at >= since AND p.received_at <= now AND p.verdict <> 'test'
    ), trouble AS (
        SELECT m.*, t.symptom
        FROM message AS m
        -- What was stored tells: a conversion that counts and pays nothing.
        LEFT JOIN postback.conversions AS c
            ON c.conversion_id = m.conversion_id AND c.bucket = postback.click_id_bucket(m.conversion_id) AND m.verdict = 'accepted'
        CROSS JOIN LATERAL (VALUES
            ('postbacks_refused', m.verdict = 'unauthenticated'),
            ('status_words_unknown', m.verdict = 'unmapped_status'),
            ('click_ids_truncated', m.verdict = 'unmatched' AND m.reason LIKE '%it was cut off%'),
            ('click_ids_case_changed', m.verdict = 'unmatched' AND m.reason LIKE '%its case was changed%'),
            ('click_ids_encoded_twice', m.verdict IN ('unmatched', 'malformed') AND m.reason LIKE '%percent-encoded twice%'),
            ('click_ids_in_another_parameter', m.verdict IN ('unmatched', 'malformed') AND m.reason LIKE '%is that its slot?%'),
            ('click_ids_unknown', m.verdict = 'unmatched' AND m.reason !~ 'it was cut off|its case was changed|percent-encoded twice|is that its slot'),
            ('postbacks_malformed', m.verdict = 'malformed' AND m.reason !~ 'percent-encoded twice|is that its slot'),
            ('outside_window', m.verdict = 'outside_window'),
            ('transactions_conflict', m.verdict = 'conflict'),
            ('duplicates', m.verdict = 'duplicate'),
            ('transaction_id_absent', m.verdict IN ('accepted', 'updated', 'duplicate') AND m.transaction_id IS NULL),
            ('payout_zero', c.status IN ('pending', 'approved') AND c.payout = 0)) AS t (symptom, holds)
        WHERE t.holds
    ), counted AS (
        SELECT t.network_id, t.symptom, count(*) AS bad, max(t.place) AS last_place, min(t.received_at) AS first_at, max(t.received_at) AS last_at,
               (array_agg(t.postback_id ORDER BY t.received_at DESC))[1:3] AS examples, (array_agg(t.reason ORDER BY t.received_at DESC))[1] AS one_reason,
               array_agg(DISTINCT left(t.raw_status, 64)) FILTER (WHERE t.symptom = 'status_words_unknown') AS words,
               count(*) FILTER (WHERE t.payout IS NULL) AS without_amount,
               count(*) FILTER (WHERE t.reason LIKE '%payout%macro%' OR t.reason LIKE '%amount is a macro%' OR t.reason LIKE '%holds a macro%') AS with_macro
        FROM trouble AS t GROUP BY t.network_id, t.symptom
    ), known (symptom, severity, least, least_share, next_step) AS (VALUES
        ('postbacks_refused', 'critical', 1, 0, 'They do not pass the network''s checks: paste postback_url() with the token of today into the network, and compare allowed_cidrs with its addresses. Somebody else''s messages are refused rightly.'),
        ('status_words_unknown', 'critical', 1, 0, 'Give the words a status: UPDATE postback.networks SET statuses = statuses || ''{"word": "approved"}''.'),
        ('click_ids_truncated', 'critical', 1, 0, 'Somebody on the way shortens the click id: use a slot with room for 36 characters (CAKE''s s1 has 50, s2 to s5 have 100; ClickBank''s tid has 24), or shorter ids of your own.'),
        ('click_ids_case_changed', 'critical', 1, 0, 'Somebody on the way changes the case of the click id: use another slot, or ids without letters.'),
        ('click_ids_encoded_twice', 'critical', 1, 0, 'The click id comes percent-encoded twice: take the encoding macro (such as an "encode" or "url" modifier) out of the network''s postback URL.'),
        ('click_ids_in_another_parameter', 'critical', 1, 0, 'The click id comes in another parameter than the network''s map says: add its name with UPDATE postback.networks SET parameters, or change the postback URL.'),
        ('click_ids_unknown', 'warning', 5, 0.02, 'No click has these ids: is the postback URL also used for offers or accounts that are not here, or are clicks of another system not recorded?'),
        ('postbacks_malformed', 'critical', 1, 0, 'They cannot be read: the reason says why. Most often a macro is missing or misspelt in the postback URL.'),
        ('outside_window', 'warning', 3, 0.02, 'Conversions come later than the offer''s click_window: agree on the window with the network and UPDATE postback.offers SET click_window. conversion_latency shows how late they are.'),
        ('transactions_conflict', 'warning', 3, 0.02, 'One transaction comes for several clicks or currencies: the network''s transaction id is no id of one sale. Change dedupe, or ask for another macro.'),
        ('duplicates', 'warning', 5, 0.2, 'The network repeats itself: it may not like the answer (see answer_body), or sell twice under one key. With a transaction id in the postback URL the two can be told apart.'),
        ('transaction_id_absent', 'warning', 5, 0.5, 'Without a transaction id a second sale of a click is a duplicate, and lost: add the network''s macro to the postback URL, or say with duplicate_policies what a repeat means.'),
        ('payout_zero', 'critical', 3, 0.2, 'Sales pay nothing: put the payout macro into the network''s postback URL; where the payout is fixed, UPDATE postback.offers SET payout.'))
    SELECT c.symptom, CASE WHEN k.severity = 'critical' AND c.bad < 0.02 * t.messages THEN 'warning' ELSE k.severity END, 'network ' || n.slug,
           jsonb_strip_nulls(jsonb_build_object('messages', t.messages, 'of_them', c.bad, 'share', round(c.bad::numeric / t.messages, 4), 'first_at', c.first_at,
               'last_at', c.last_at, 'one_reason', c.one_reason, 'postback_ids', to_jsonb(c.examples), 'words', to_jsonb(c.words),
               'without_amount', CASE WHEN c.symptom = 'payout_zero' THEN c.without_amount END,
               'with_a_macro_for_it', CASE WHEN c.symptom = 'payout_zero' THEN c.with_macro END)),
           k.next_step
    FROM counted AS c
    JOIN (SELECT m.network_id, count(*) AS messages FROM message AS m GROUP BY m.network_id) AS t ON t.network_id = c.network_id
    JOIN known AS k ON k.symptom = c.symptom
    JOIN postback.networks AS n ON n.network_id = c.network_id
    WHERE c.bad >= k.least AND c.bad >= k.least_share * t.messages AND _postback.still_happens(c.bad, c.last_place, t.messages - c.last_place);
END
$$;

-- Log against log: what the network's newest reconciled report has and we do not.
CREATE FUNCTION _postback.symptom_missing_here(networks integer[], since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN m.missing >= 0.9 * i.row_count THEN 'conversions_at_network_not_here' ELSE 'conversions_partly_missing' END,
           CASE WHEN m.missing >= 0.02 * i.row_count THEN 'critical' ELSE 'warning' END, 'network ' || n.slug,
           jsonb_build_object('import_id', i.import_id, 'rows', i.row_count, 'missing_here', m.missing, 'causes', m.causes),
           format('SELECT * FROM postback.discrepancy_log WHERE import_id = %s AND kind = ''missing_here''. ', i.import_id)
               || CASE WHEN m.causes ? 'click_id_truncated' THEN 'Click ids are cut off or re-encoded on the way: use another slot.'
                       WHEN m.causes ? 'postback_refused' OR m.causes ? 'postback_unmatched' THEN 'The named postbacks came and had no effect: their reasons say why.'
                       ELSE 'No postback came for them: has the network switched it off, or is it set for some offers or goals only?' END
    FROM postback.networks AS n
    CROSS JOIN LATERAL (
        SELECT r.import_id, r.row_count FROM postback.report_imports AS r
        WHERE r.network_id = n.network_id AND r.reconciled_at >= since AND r.reconciled_at <= now ORDER BY r.last_day DESC, r.import_id DESC LIMIT 1) AS i
    CROSS JOIN LATERAL (
        SELECT sum(c.rows) AS missing, jsonb_object_agg(c.cause, c.rows) AS causes
        FROM (
            SELECT d.cause, count(*) AS rows FROM postback.discrepancies AS d
            -- What is here, on another day or as part of another conversion, is not missing.
            WHERE d.import_id = i.import_id AND d.kind = 'missing_here' AND d.cause NOT IN ('time_zone_edge', 'dedupe_rule') GROUP BY d.cause) AS c) AS m
    WHERE n.network_id = ANY (networks) AND m.missing > 0;
END
$$;
