-- Which known click an unmatched message nearly names: said in its reason, never matched. Only looks into indexes.
CREATE FUNCTION _postback.near_miss(click_id text, query bytea, body bytea)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    near text;
BEGIN
    -- A foreign id in mixed case is not looked for: that would take one more index on every foreign click.
    SELECT i.id INTO near FROM unnest(ARRAY[lower(click_id), upper(click_id)]) AS i (id)
    WHERE i.id <> click_id AND (_postback.find_click(i.id)).click_id IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RETURN format('its case was changed: the click "%s" is known', near);
    END IF;
    near := _postback.click_that_begins_with(click_id);
    IF near IS NOT NULL THEN
        RETURN format('it was cut off: the click "%s" is known', near);
    END IF;
    RETURN _postback.click_in_other_parameter(click_id, query, body);
END
$$;

-- The one click whose id begins with these 16 or more characters. The first 13 of an id of our own are its time: so its day is known.
CREATE FUNCTION _postback.click_that_begins_with(beginning text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    time CONSTANT timestamptz := postback.click_id_time(lower(beginning) || substr('00000000-0000-7000-8000-000000000000', length(beginning) + 1));
    low CONSTANT text COLLATE "C" := CASE WHEN time IS NULL THEN beginning ELSE lower(beginning) END;
    high CONSTANT text COLLATE "C" := low || chr(127);
    found_ids text[];
BEGIN
    IF length(beginning) < 16 THEN
        RETURN NULL;
    END IF;
    found_ids := array(
        SELECT l.click_id FROM postback.click_locations AS l WHERE l.click_id > low AND l.click_id < high LIMIT 2);
    IF time IS NOT NULL THEN
        found_ids := found_ids || array(
            SELECT c.click_id FROM postback.clicks AS c WHERE c.click_id > low AND c.click_id < high AND c.clicked_at = time LIMIT 2);
    END IF;
    RETURN CASE WHEN cardinality(found_ids) = 1 THEN found_ids[1] END;
END
$$;

-- Another parameter of query or body (a form, or JSON) that holds a known click, decoded once as it should be, or once more.
CREATE FUNCTION _postback.click_in_other_parameter(named text, query bytea, body bytea)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    raw CONSTANT text := left(concat_ws('&', convert_from(query, 'LATIN1'), convert_from(body, 'LATIN1')), 2048);
    parameter record;
    known text;
BEGIN
    -- Short values are amounts and numbers of goals, which other systems use as click ids too.
    FOR parameter IN
        SELECT p.part[1] AS name, _postback.decode_percent(p.part[2]) AS once
        FROM regexp_matches(raw, '([A-Za-z0-9._~%-]{1,64})(?:=|"\s*:\s*")([A-Za-z0-9._~%-]{6,200})', 'g') AS p (part) LIMIT 20
    LOOP
        known := (_postback.find_click(parameter.once)).click_id;
        IF known <> named OR named IS NULL AND known IS NOT NULL THEN
            RETURN format('parameter "%s" holds the known click "%s": is that its slot?', parameter.name, known);
        ELSIF parameter.once LIKE '%\%%' THEN
            known := (_postback.find_click(_postback.decode_percent(parameter.once))).click_id;
            IF known IS NOT NULL THEN
                RETURN format('parameter "%s" is percent-encoded twice: the click "%s" is known', parameter.name, known);
            END IF;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Percent escapes of printable ASCII, which is all that an id may hold.
CREATE FUNCTION _postback.decode_percent(written text)
RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT string_agg(CASE WHEN p.part[1] ~ '^%[2-7][0-9A-Fa-f]$' THEN chr(get_byte(decode(substr(p.part[1], 2), 'hex'), 0)) ELSE p.part[1] END, ''
            ORDER BY p.place)
        FROM regexp_matches(written, '%[0-9A-Fa-f]{2}|[^%]+|%', 'g') WITH ORDINALITY AS p (part, place));
END
$$;
