-- Brings rollups up to date: counts what has come since the last time, and again the hours that late rows have spoiled. Stops after 20
-- seconds; what is left is done the next time, and until then reports count it from the tables. Returns how many hours were counted again.
CREATE FUNCTION _postback.refresh_rollups(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    -- Every older row is in sight once the transactions before this one have ended: whoever writes one after that finds that it is late
    -- by the same 15 seconds, and notes it (sql/tables/rollups.sql).
    up_to timestamptz := least(now, transaction_timestamp()) - interval '15 seconds';
    this_transaction CONSTANT xid8 := pg_current_xact_id();
    started_at CONSTANT timestamptz := clock_timestamp();
    counted_until timestamptz;
    step interval := '1 minute';
    step_end timestamptz;
    rows_in_step bigint;
    stale record;
    span tstzrange;
    done bigint := 0;
BEGIN
    -- In one statement, so that no row goes that was not looked at.
    WITH known AS (
        INSERT INTO _postback.stale_hours (kind, hour)
        SELECT h.kind, h.hour FROM _postback.spoiled_hours() AS h CROSS JOIN _postback.rollup_state AS s WHERE h.hour < s.counted_until
        ON CONFLICT ON CONSTRAINT stale_hours_pkey DO NOTHING
    ), clicks AS (
        DELETE FROM _postback.late_clicks
    )
    DELETE FROM _postback.late_conversions;

    -- Mostly they have ended by now. One that takes long makes reports slower, not wrong.
    WHILE pg_snapshot_xmin(pg_current_snapshot()) < this_transaction LOOP
        IF clock_timestamp() > started_at + interval '1 second' THEN
            up_to := '-infinity';
            EXIT;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;

    SELECT s.counted_until INTO counted_until FROM _postback.rollup_state AS s;
    IF counted_until = '-infinity' AND isfinite(up_to) THEN
        -- Where there is nothing yet, a load with the triggers off may still come.
        counted_until := least(up_to, coalesce(
            least(_postback.first_click_day(), (SELECT min(c.converted_at) FROM postback.conversions AS c)), '-infinity'));
        -- Kept at once: whatever comes of this run, the next one does not begin with the search.
        UPDATE _postback.rollup_state AS s SET counted_until = counted_until;
    END IF;
    -- In steps of some ten thousand rows, however many a minute has: one step too long for a statement would be too long each time, and
    -- one too short looks for its few rows among all of a day, where these do not lie in the order of time.
    WHILE isfinite(counted_until) AND counted_until < up_to LOOP
        step_end := least(up_to, counted_until + step);
        rows_in_step := _postback.rows_between(counted_until, step_end, at_most => 50001);
        IF rows_in_step > 50000 AND step > interval '1 second' THEN
            step := greatest(step / 2, interval '1 second');
            CONTINUE;
        END IF;
        PERFORM _postback.add_to_rollups('clicks', counted_until, step_end);
        PERFORM _postback.add_to_rollups('conversions', counted_until, step_end);
        counted_until := step_end;
        -- The next step looks back no further than to here for clicks that are not in rollups.
        UPDATE _postback.rollup_state AS s SET counted_until = counted_until;
        IF rows_in_step < 25000 THEN
            step := step * 2;
        END IF;
        -- Asked last: a run gets on by a step at least.
        EXIT WHEN clock_timestamp() > started_at + interval '20 seconds';
    END LOOP;
    IF isfinite(counted_until) THEN
        PERFORM _postback.add_up_blocks((SELECT s.blocks_until FROM _postback.rollup_state AS s), _postback.block_of(counted_until));
        UPDATE _postback.rollup_state AS s SET blocks_until = _postback.block_of(counted_until);
    END IF;

    -- The oldest first: whether a click is its subscriber's first is read from what is counted before it.
    FOR stale IN
        SELECT s.kind, range_agg(tstzrange(s.hour, s.hour + interval '1 hour')) AS hours, count(*) AS number FROM _postback.stale_hours AS s
        GROUP BY date_trunc('day', s.hour), s.kind ORDER BY date_trunc('day', s.hour), s.kind
    LOOP
        EXIT WHEN clock_timestamp() > started_at + interval '20 seconds';
        DELETE FROM _postback.stale_hours AS s WHERE s.kind = stale.kind AND s.hour <@ stale.hours;
        FOR span IN SELECT u FROM unnest(stale.hours) AS u LOOP
            DELETE FROM postback.rollups AS r
            WHERE r.hour >= lower(span) AND r.hour < upper(span) AND (r.currency IS NULL) = (stale.kind = 'clicks');
            PERFORM _postback.add_to_rollups(stale.kind, lower(span), least(upper(span), counted_until));
            IF stale.kind = 'clicks' THEN
                PERFORM _postback.repair_first_clicks(lower(span), upper(span));
            END IF;
            PERFORM _postback.add_up_blocks(_postback.block_of(lower(span)),
                least(_postback.block_of(upper(span) + interval '3 hours'), (SELECT s.blocks_until FROM _postback.rollup_state AS s)));
        END LOOP;
        done := done + stale.number;
    END LOOP;
    RETURN done;
END
$$;

-- When the block of four hours begins that a time lies in.
CREATE FUNCTION _postback.block_of(at timestamptz)
RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN date_bin('4 hours', at, '2000-01-01 00:00+00');
END
$$;

-- Adds the rollups of [since, until), which are whole blocks, up to blocks.
CREATE FUNCTION _postback.add_up_blocks(since timestamptz, until timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM _postback.rollup_blocks AS b WHERE b.began >= since AND b.began < until;
    INSERT INTO _postback.rollup_blocks (began, send_id, campaign_id, segment_id, variant_id, offer_id, network_id, currency, clicks, human_clicks,
        unique_clicks, pending, approved, rejected, reversed, revenue, pending_revenue, conversion_seconds, delay_milliseconds)
    SELECT date_bin('4 hours', r.hour, '2000-01-01 00:00+00'), r.send_id, r.campaign_id, r.segment_id, r.variant_id, r.offer_id, r.network_id, r.currency,
           sum(r.clicks), sum(r.human_clicks), sum(r.unique_clicks), sum(r.pending), sum(r.approved), sum(r.rejected), sum(r.reversed), sum(r.revenue),
           sum(r.pending_revenue), string_agg(r.conversion_seconds, NULL), string_agg(r.delay_milliseconds, NULL)
    FROM postback.rollups AS r WHERE r.hour >= since AND r.hour < until
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
END
$$;

-- How many clicks and conversions a period has; it stops at so many.
CREATE FUNCTION _postback.rows_between(since timestamptz, until timestamptz, at_most bigint)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET jit = off AS $$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM postback.clicks AS k WHERE k.clicked_at >= since AND k.clicked_at < until
        UNION ALL
        SELECT FROM postback.conversions AS c WHERE c.converted_at >= since AND c.converted_at < until
        LIMIT at_most) AS r);
END
$$;

-- A time before which there are no clicks: the beginning of the first day that has some. Nothing but the DEFAULT partition, where few lie, is
-- read from one end to the other: clicks have no index that begins with the time.
CREATE FUNCTION _postback.first_click_day()
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    one record;
    found_at timestamptz;
    earliest timestamptz;
BEGIN
    FOR one IN SELECT d.partition, d.day FROM _postback.days_of('clicks') AS d LOOP
        EXECUTE CASE WHEN one.day IS NULL THEN format('SELECT min(c.clicked_at) FROM postback.%I AS c', one.partition)
                     ELSE format('SELECT $1 WHERE EXISTS (SELECT FROM postback.%I)', one.partition) END
            INTO found_at USING one.day;
        earliest := least(earliest, found_at);
        EXIT WHEN one.day IS NOT NULL AND found_at IS NOT NULL;
    END LOOP;
    RETURN earliest;
END
$$;

-- Adds what happened in [since, until) to the rows of its hours.
CREATE FUNCTION _postback.add_to_rollups(kind text, since timestamptz, until timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF kind = 'clicks' THEN
        INSERT INTO postback.rollups AS r (hour, send_id, campaign_id, segment_id, variant_id, offer_id, clicks, human_clicks, unique_clicks)
        SELECT c.at, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.clicks, c.human_clicks, c.unique_clicks
        FROM _postback.count_clicks(since, until, interval '1 hour',
            (SELECT min(s.hour) FROM _postback.stale_hours AS s WHERE s.kind = 'clicks')) AS c
        ON CONFLICT ON CONSTRAINT rollups_key DO UPDATE SET clicks = r.clicks + excluded.clicks,
            human_clicks = r.human_clicks + excluded.human_clicks, unique_clicks = r.unique_clicks + excluded.unique_clicks;
        INSERT INTO _postback.first_clicks AS f (bucket, subscriber_id, clicked_at)
        SELECT c.bucket, c.subscriber_id, min(c.clicked_at) FROM postback.clicks AS c
        WHERE c.clicked_at >= since AND c.clicked_at < until AND c.visitor = 'human' AND c.subscriber_id IS NOT NULL AND c.method <> 'TEST'
        GROUP BY c.bucket, c.subscriber_id
        ON CONFLICT ON CONSTRAINT first_clicks_pkey DO UPDATE SET clicked_at = excluded.clicked_at WHERE f.clicked_at > excluded.clicked_at;
    ELSE
        INSERT INTO postback.rollups AS r (hour, send_id, campaign_id, segment_id, variant_id, offer_id, network_id, currency,
            pending, approved, rejected, reversed, revenue, pending_revenue, conversion_seconds, delay_milliseconds)
        SELECT c.at, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.network_id, c.currency,
            c.pending, c.approved, c.rejected, c.reversed, c.revenue, c.pending_revenue, c.conversion_seconds, c.delay_milliseconds
        FROM _postback.count_conversions(since, until, interval '1 hour') AS c
        ON CONFLICT ON CONSTRAINT rollups_key DO UPDATE SET pending = r.pending + excluded.pending, approved = r.approved + excluded.approved,
            rejected = r.rejected + excluded.rejected, reversed = r.reversed + excluded.reversed, revenue = r.revenue + excluded.revenue,
            pending_revenue = r.pending_revenue + excluded.pending_revenue,
            conversion_seconds = coalesce(r.conversion_seconds || excluded.conversion_seconds, r.conversion_seconds, excluded.conversion_seconds),
            delay_milliseconds = coalesce(r.delay_milliseconds || excluded.delay_milliseconds, r.delay_milliseconds, excluded.delay_milliseconds);
    END IF;
END
$$;

-- The first click of those whose first one was in [since, until): it may be none any more.
CREATE FUNCTION _postback.repair_first_clicks(since timestamptz, until timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
    WITH gone AS (
        DELETE FROM _postback.first_clicks AS f
        WHERE f.clicked_at >= since AND f.clicked_at < until AND NOT EXISTS (
            SELECT FROM postback.clicks AS c
            WHERE c.bucket = f.bucket AND c.subscriber_id = f.subscriber_id AND c.clicked_at = f.clicked_at AND c.clicked_at >= since AND c.clicked_at < until
              AND c.visitor = 'human' AND c.method <> 'TEST')
        RETURNING f.bucket, f.subscriber_id
    )
    INSERT INTO _postback.first_clicks (bucket, subscriber_id, clicked_at)
    SELECT g.bucket, g.subscriber_id, n.clicked_at
    FROM gone AS g
    CROSS JOIN LATERAL (
        SELECT c.clicked_at FROM postback.clicks AS c
        WHERE c.bucket = g.bucket AND c.subscriber_id = g.subscriber_id AND c.clicked_at >= since AND c.visitor = 'human' AND c.method <> 'TEST'
        ORDER BY c.clicked_at LIMIT 1) AS n
    ON CONFLICT ON CONSTRAINT first_clicks_pkey DO NOTHING;
END
$$;

-- The hours of a period that reports may take from rollups, for clicks and for conversions, with the hour or day (the grain) of a time zone that
-- they lie in; one that lies in two is left out. The last one may be counted only in part, if the period does not end in it either. One row
-- has no hour: the time before there was anything.
CREATE FUNCTION _postback.counted_hours(
    since timestamptz, until timestamptz, time_zone text, grain text, spoiled_clicks timestamptz[], spoiled_conversions timestamptz[])
RETURNS TABLE (hour timestamptz, local_time timestamp, counted tstzrange, has_clicks boolean, has_conversions boolean)
LANGUAGE plpgsql STABLE ROWS 200 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    counted_until CONSTANT timestamptz := (SELECT s.counted_until FROM _postback.rollup_state AS s);
    first_hour CONSTANT timestamptz := (SELECT min(r.hour) FROM postback.rollups AS r WHERE r.hour < counted_until);
BEGIN
    IF first_hour IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT NULL::timestamptz, NULL::timestamp, tstzrange(NULL, first_hour), first_hour <= ALL (spoiled_clicks), first_hour <= ALL (spoiled_conversions)
    UNION ALL
    SELECT h.hour, l.local_time, tstzrange(h.hour, l.next_hour), h.hour <> ALL (spoiled_clicks), h.hour <> ALL (spoiled_conversions)
    FROM generate_series(greatest(date_trunc('hour', since + interval '1 hour' - interval '1 microsecond', 'UTC'), first_hour),
                         least(until, counted_until), interval '1 hour') AS h (hour)
    CROSS JOIN LATERAL (SELECT date_trunc(grain, h.hour AT TIME ZONE time_zone),
                               date_trunc(grain, (h.hour + interval '1 hour' - interval '1 microsecond') AT TIME ZONE time_zone),
                               least(h.hour + interval '1 hour', counted_until)) AS l (local_time, local_end, next_hour)
    WHERE h.hour < counted_until AND l.next_hour <= until AND l.local_time IS NOT DISTINCT FROM l.local_end;
END
$$;
