-- The way back for dead letters, once what refused them is mended.
CREATE FUNCTION postback.replay_dead_letters(
    since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity', max_letters integer DEFAULT 10000)
RETURNS TABLE (kind text, recorded bigint, still_refused bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    letter record;
    is_taken boolean;
    taken bigint[] := '{0,0}';
    refused bigint[] := '{0,0}';
    place integer;
    reason text;
BEGIN
    -- In the order in which they came.
    FOR letter IN
        SELECT d.kind, d.request_id, d.requested_at, d.request AS r, string_to_array(rtrim(d.request ->> 'path', '/'), '/') AS segments
        FROM postback.dead_letters AS d
        WHERE d.requested_at >= coalesce(since, '-infinity') AND d.requested_at < coalesce(until, 'infinity')
        ORDER BY d.requested_at, d.request_id LIMIT max_letters FOR UPDATE SKIP LOCKED
    LOOP
        place := CASE letter.kind WHEN 'click' THEN 1 ELSE 2 END;
        BEGIN
            is_taken := false;
            reason := NULL;
            IF letter.kind = 'click' THEN
                SELECT c.location IS NOT NULL INTO is_taken FROM postback.replay_clicks(ARRAY[letter.r ->> 'code'], ARRAY[letter.request_id],
                    ARRAY[(letter.r ->> 'ip_address')::inet], ARRAY[letter.r ->> 'user_agent'], ARRAY[letter.r ->> 'method'],
                    ARRAY[letter.r ->> 'purpose'], ARRAY[(letter.r ->> 'campaign_id')::bigint], ARRAY[(letter.r ->> 'offer_id')::bigint],
                    ARRAY[CASE WHEN jsonb_typeof(letter.r -> 'subs') = 'object' THEN letter.r -> 'subs' END], ARRAY[letter.requested_at]) AS c;
                reason := 'no such link';
            ELSIF letter.r::text !~ U&'\FFFD' THEN
                -- A message whose bytes are no text would not be the one that was signed: it stays, byte for byte, in record.
                SELECT count(*) > 0 INTO is_taken FROM postback.receive_postbacks(ARRAY[letter.segments[3]], ARRAY[convert_to(letter.r ->> 'query', 'UTF8')],
                    ARRAY[(letter.r ->> 'source_ip')::inet], ARRAY[letter.segments[4]], ARRAY[letter.r ->> 'method'], ARRAY[letter.r ->> 'path'],
                    ARRAY[convert_to(letter.r ->> 'body', 'UTF8')], ARRAY[letter.r ->> 'content_type'], ARRAY[letter.request_id]) AS p;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            is_taken := false;
            reason := sqlstate;
        END;
        IF is_taken THEN
            DELETE FROM postback.dead_letters AS d
            WHERE d.kind = letter.kind AND d.request_id = letter.request_id AND d.requested_at = letter.requested_at;
            taken[place] := taken[place] + 1;
        ELSE
            UPDATE postback.dead_letters AS d SET failure = coalesce(reason, d.failure)
            WHERE d.kind = letter.kind AND d.request_id = letter.request_id AND d.requested_at = letter.requested_at;
            refused[place] := refused[place] + 1;
        END IF;
    END LOOP;
    RETURN QUERY SELECT k.kind, taken[k.place], refused[k.place] FROM (VALUES ('click', 1), ('postback', 2)) AS k (kind, place);
END
$$;
COMMENT ON FUNCTION postback.replay_dead_letters(timestamptz, timestamptz, integer) IS
    'Records the dead letters of requests that came in [since, until) once more, the oldest first and at most max_letters: clicks at their time, postbacks '
    'under their id, so that nothing counts twice. A row per kind: how many are recorded now and gone from dead_letters, and how many are refused as '
    'before; failure says why. Postbacks with bytes that are no text stay.';
