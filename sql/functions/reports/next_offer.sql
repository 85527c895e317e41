-- Which offer to send next, and how sure that is.

-- The probability of each of several numbers to be the highest one, by what is known of them: normal distributions (extension/core).
CREATE FUNCTION _postback.chances_to_be_best(means double precision[], deviations double precision[])
RETURNS double precision[] LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chances_to_be_best_wrapper';

CREATE FUNCTION postback.next_offer(
    in_currency text,
    segment_id bigint DEFAULT NULL,
    offer_ids bigint[] DEFAULT NULL,
    since timestamptz DEFAULT clock_timestamp() - interval '30 days',
    until timestamptz DEFAULT 'infinity')
RETURNS TABLE (offer_id bigint, human_clicks bigint, approved bigint, revenue numeric, epc numeric, expected_epc numeric, weight numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    -- So many clicks are worth what is known of all offers together.
    prior CONSTANT double precision := 100;
BEGIN
    IF in_currency IS NULL THEN
        RAISE EXCEPTION 'next_offer() needs a currency' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A code such as USD: revenue in several currencies cannot be added up.';
    END IF;
    since := coalesce(since, '-infinity');
    until := coalesce(until, 'infinity');
    RETURN QUERY
    WITH squares AS (
        SELECT sum(c.payout ^ 2)::double precision AS total FROM postback.conversion_log AS c
        WHERE c.converted_at >= next_offer.since AND c.converted_at < next_offer.until AND c.status = 'approved' AND c.currency = upper(next_offer.in_currency)
          AND (next_offer.segment_id IS NULL OR c.segment_id = next_offer.segment_id) AND (offer_ids IS NULL OR c.offer_id = ANY (offer_ids))
    ), result AS (
        SELECT o.offer_id, coalesce(sum(p.human_clicks), 0)::bigint AS clicks, coalesce(sum(p.approved), 0)::bigint AS approved, coalesce(sum(p.revenue), 0) AS revenue
        FROM postback.offers AS o
        LEFT JOIN postback.performance(CASE WHEN next_offer.segment_id IS NULL THEN '{offer}' ELSE '{offer,segment}' END::text[],
            next_offer.since, next_offer.until, 'UTC', next_offer.in_currency) AS p
            ON p.offer_id = o.offer_id AND (next_offer.segment_id IS NULL OR p.segment_id = next_offer.segment_id)
        WHERE offer_ids IS NULL OR o.offer_id = ANY (offer_ids)
        GROUP BY o.offer_id
    ), overall AS (
        SELECT (sum(r.revenue) / nullif(sum(r.clicks), 0))::double precision AS mean,
               coalesce((SELECT s.total FROM squares AS s) / nullif(sum(r.clicks), 0), 0) AS square
        FROM result AS r
    ), belief AS (
        -- Without any revenue there is nothing to choose by: all the same.
        SELECT r.*, (r.revenue::double precision + prior * coalesce(o.mean, 0)) / (r.clicks + prior) AS mean,
               sqrt(CASE WHEN o.square > o.mean ^ 2 THEN o.square - o.mean ^ 2 ELSE 1 END / (r.clicks + prior)) AS deviation
        FROM result AS r CROSS JOIN overall AS o
    ), best AS (
        SELECT u.offer_id, u.chance
        FROM (SELECT array_agg(b.offer_id ORDER BY b.offer_id) AS offer_ids,
                     _postback.chances_to_be_best(array_agg(b.mean ORDER BY b.offer_id), array_agg(b.deviation ORDER BY b.offer_id)) AS chances
              FROM belief AS b) AS all_of_them
        CROSS JOIN unnest(all_of_them.offer_ids, all_of_them.chances) AS u (offer_id, chance)
    )
    SELECT b.offer_id, b.clicks, b.approved, b.revenue, round(b.revenue / nullif(b.clicks, 0), 6), round(b.mean::numeric, 6),
           round((w.chance / sum(w.chance) OVER ())::numeric, 6)
    FROM belief AS b JOIN best AS w ON w.offer_id = b.offer_id
    ORDER BY w.chance DESC, b.offer_id;
END
$$;
COMMENT ON FUNCTION postback.next_offer(text, bigint, bigint[], timestamptz, timestamptz) IS
    'Weights for the rotation of offers (they sum to 1, but for rounding): the probability that an offer has the highest revenue per human click. This is Thompson sampling '
    '(Thompson 1933; Chapelle and Li 2011) without the dice. Belief about an offer with n clicks: Normal(mean (revenue + 100 m) / (n + 100), variance s^2 / (n + 100)), '
    'm and s^2 the mean and variance of revenue per click of all the offers; weight = integral of its density times the product of the others'' '
    'distribution functions. An offer without clicks gets its share. By in_currency, and by segment_id, offer_ids and period (30 days) if given.';
