-- A network's report: from the lines of its file to rows that can be compared. Set-based: a report may have millions of rows.

-- The fields of a CSV line, unquoted; NULL when its quotes do not match.
CREATE FUNCTION _postback.csv_fields(line text, delimiter text)
RETURNS text[] LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'csv_fields_wrapper';

-- What is wrong with an amount in a currency, as it would be in a postback; NULL when nothing is.
CREATE FUNCTION _postback.amount_problem(amount text, currency text)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'amount_problem_wrapper';

CREATE FUNCTION postback.import_report(
    network text,
    format text DEFAULT NULL,
    columns jsonb DEFAULT NULL,
    time_zone text DEFAULT NULL,
    currency text DEFAULT NULL,
    dates text DEFAULT NULL,
    statuses jsonb DEFAULT NULL,
    ignored_in_amounts text DEFAULT NULL,
    first_day date DEFAULT NULL,
    last_day date DEFAULT NULL,
    file_name text DEFAULT NULL,
    now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (import_id bigint, row_count bigint, bad_row_count bigint, days daterange)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    net CONSTANT postback.networks := (SELECT n FROM postback.networks AS n WHERE n.network_id = _postback.network_id(network));
    known CONSTANT postback.report_formats := (
        SELECT f FROM postback.report_formats AS f WHERE f.format = _postback.report_format(net.network_id, format));
    zone CONSTANT text := coalesce(time_zone, net.time_zone);
    words CONSTANT jsonb := net.statuses || known.statuses || coalesce(lower(statuses::text)::jsonb, '{}');
    ignored CONSTANT text := coalesce(ignored_in_amounts, known.ignored_in_amounts);
    -- Of comma and point, one that is ignored and not followed by three digits parts no thousands: 12,50 is not 1250.
    marks CONSTANT text := translate(',.', translate(',.', ignored, ''), '');
    odd_mark CONSTANT text := CASE WHEN marks <> '' THEN '[' || marks || '](?!\d{3}(?!\d))' END;
    first record;
    delimiter text;
    place jsonb;
    places integer[];
    width integer;
    seen record;
    earlier record;
BEGIN
    PERFORM _postback.check_statuses(statuses);
    IF NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT name FROM pg_timezone_names lists them.';
    ELSIF coalesce(dates, known.dates) NOT IN ('ymd', 'mdy', 'dmy') THEN
        RAISE EXCEPTION 'dates "%" is not known', dates USING ERRCODE = 'invalid_parameter_value', HINT = 'One of ymd, mdy, dmy.';
    ELSIF first_day > last_day THEN
        RAISE EXCEPTION 'first_day lies after last_day' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT w.line_number, w.line, w.fields INTO first FROM postback.report_lines AS w
    WHERE w.loaded_by = pg_current_xact_id() AND (w.line <> '' OR w.fields IS NOT NULL) ORDER BY w.line_number LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no line of a report was loaded in this transaction' USING ERRCODE = 'no_data_found',
            HINT = 'Copy the file into postback.report_lines first, with psql -1, or use postback-proxy import-report.';
    END IF;
    SELECT d.delimiter INTO delimiter FROM unnest(ARRAY[',', ';', E'\t', '|']) WITH ORDINALITY AS d (delimiter, place)
    ORDER BY length(first.line) - length(replace(first.line, d.delimiter, '')) DESC, d.place LIMIT 1;
    SELECT jsonb_object_agg(c.field, c.place) INTO place
    FROM postback.report_columns(network, coalesce(first.fields, _postback.csv_fields(first.line, delimiter)), format, columns) AS c;

    width := cardinality(coalesce(first.fields, _postback.csv_fields(first.line, delimiter)));
    places := array(SELECT (place ->> n.name)::integer FROM unnest(ARRAY['click_id', 'transaction_id', 'conversion_id', 'event', 'status', 'payout',
        'currency', 'offer_id', 'time']) WITH ORDINALITY AS n (name, nth) ORDER BY n.nth);
    INSERT INTO postback.report_imports (network_id, format, file_name, columns, time_zone, first_day, last_day, row_count, bad_row_count,
        content_hash, imported_at, imported_by)
    SELECT net.network_id, known.format, file_name,
           (SELECT jsonb_object_agg(e.key, (coalesce(first.fields, _postback.csv_fields(first.line, delimiter)))[e.value::integer])
            FROM jsonb_each_text(place) AS e),
           zone, '-infinity', 'infinity', 0, 0, 'loading ' || pg_current_xact_id(), now, session_user::text
    RETURNING report_imports.import_id INTO import_id;

    INSERT INTO postback.report_rows (import_id, line, click_id, transaction_id, network_conversion_id, event, raw_status, status,
        payout, currency, network_offer_id, happened_at, problem)
    SELECT import_id, r.line, r.click_id, r.transaction_id, r.conversion_id, r.event, r.raw_status, s.status,
           CASE WHEN a.problem IS NULL THEN r.amount::numeric END, r.currency, r.offer_id, t.happened_at,
           nullif(concat_ws('; ',
               CASE WHEN r.broken THEN 'its quotes do not match' END,
               -- An amount with a comma and no quotes, say: what stands behind it is in the wrong columns, and may look right.
               CASE WHEN r.is_too_long THEN 'it has more fields than the header' END,
               CASE WHEN strpos(concat(r.click_id, r.transaction_id, r.conversion_id), chr(65533)) > 0 THEN 'its id is not text in UTF-8' END,
               CASE WHEN r.click_id IS NULL AND r.transaction_id IS NULL AND r.conversion_id IS NULL THEN 'neither a click id nor a transaction id' END,
               CASE WHEN s.status IS NULL THEN pg_catalog.format('the status "%s" is not known', left(r.raw_status, 64)) END,
               CASE WHEN s.status IN ('pending', 'approved') AND places[6] IS NOT NULL THEN a.problem END,
               CASE WHEN s.status IN ('pending', 'approved') AND r.has_odd_mark THEN 'a comma or point in the amount does not part thousands' END,
               CASE WHEN t.happened_at IS NULL THEN pg_catalog.format('the time "%s" was not understood', left(r.time, 64)) END), '')
    FROM (
        SELECT p.line, p.f IS NULL AS broken, cardinality(p.f) > width AND btrim(array_to_string(p.f[width + 1:], '')) <> '' AS is_too_long,
               left(nullif(btrim(p.f[places[1]]), ''), 200) AS click_id,
               left(nullif(btrim(p.f[places[2]]), ''), 200) AS transaction_id,
               left(nullif(btrim(p.f[places[3]]), ''), 200) AS conversion_id,
               left(nullif(btrim(p.f[places[4]]), ''), 200) AS event,
               left(nullif(btrim(p.f[places[5]]), ''), 200) AS raw_status,
               btrim(translate(p.f[places[6]], ignored, '')) AS amount, p.f[places[6]] ~ odd_mark AS has_odd_mark,
               coalesce(upper(left(nullif(btrim(p.f[places[7]]), ''), 64)), currency, net.currency) AS currency,
               left(nullif(btrim(p.f[places[8]]), ''), 200) AS offer_id,
               btrim(p.f[places[9]]) AS time
        FROM (
            SELECT CASE WHEN w.fields IS NULL THEN w.line_number - first.line_number + 1 ELSE w.line_number END AS line,
                   CASE WHEN w.fields IS NOT NULL THEN w.fields WHEN strpos(w.line, '"') = 0 THEN string_to_array(w.line, delimiter)
                        ELSE _postback.csv_fields(w.line, delimiter) END AS f
            FROM postback.report_lines AS w
            WHERE w.loaded_by = pg_current_xact_id() AND w.line_number > first.line_number AND (w.line <> '' OR w.fields IS NOT NULL)
            OFFSET 0) AS p
        OFFSET 0) AS r
    CROSS JOIN LATERAL (SELECT CASE WHEN places[6] IS NOT NULL THEN _postback.amount_problem(r.amount, r.currency) ELSE '' END OFFSET 0) AS a (problem)
    CROSS JOIN LATERAL (SELECT CASE WHEN r.raw_status IS NULL THEN coalesce(net.default_status, 'approved')
        ELSE (words ->> lower(r.raw_status))::postback.conversion_status END OFFSET 0) AS s (status)
    -- The usual spellings without a call: all days but a 29th of February.
    CROSS JOIN LATERAL (SELECT CASE
        WHEN r.time ~ '^\d{9,10}$' THEN to_timestamp(r.time::bigint)
        WHEN r.time ~ '^[12]\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)[ T]([01]\d|2[0-3]):[0-5]\d:[0-5]\d$'
            AND coalesce(dates, known.dates) = 'ymd' THEN r.time::timestamp AT TIME ZONE zone
        ELSE _postback.read_report_time(r.time, coalesce(dates, known.dates), zone) END OFFSET 0) AS t (happened_at);
    DELETE FROM postback.report_lines;

    -- The same file has the same hash, whichever way it was copied and whichever zone it was said to be in.
    SELECT count(*) AS rows, count(w.problem) AS bad, pg_catalog.format('%s %s', count(*), to_hex((sum(hashtextextended(
               concat_ws('|', w.click_id, w.transaction_id, w.network_conversion_id, w.event, w.raw_status, w.payout, w.happened_at AT TIME ZONE zone), 0))
               % 9223372036854775807)::bigint)) AS hash,
           min((w.happened_at AT TIME ZONE zone)::date) FILTER (WHERE w.problem IS NULL) AS first_day,
           max((w.happened_at AT TIME ZONE zone)::date) FILTER (WHERE w.problem IS NULL) AS last_day
    INTO seen FROM postback.report_rows AS w WHERE w.import_id = import_id;
    SELECT i.import_id, i.imported_at INTO earlier FROM postback.report_imports AS i
    WHERE i.network_id = net.network_id AND i.content_hash = seen.hash;
    IF FOUND THEN
        RAISE EXCEPTION 'this report was imported before, as import % at %', earlier.import_id, earlier.imported_at
            USING ERRCODE = 'unique_violation', HINT = pg_catalog.format('To read it in another way, SELECT postback.delete_report(%s) first.', earlier.import_id);
    ELSIF seen.bad = seen.rows THEN
        RAISE EXCEPTION 'no row of the report could be read' USING ERRCODE = 'data_exception',
            HINT = coalesce((SELECT pg_catalog.format('Line %s: %s.', w.line, w.problem) FROM postback.report_rows AS w WHERE w.import_id = import_id
                ORDER BY w.line LIMIT 1), 'It has a header and nothing else.');
    END IF;
    UPDATE postback.report_imports AS i
    SET row_count = seen.rows, bad_row_count = seen.bad, content_hash = seen.hash,
        first_day = coalesce(first_day, least(seen.first_day, last_day)), last_day = coalesce(last_day, greatest(seen.last_day, first_day))
    WHERE i.import_id = import_id
    RETURNING i.row_count, i.bad_row_count, daterange(i.first_day, i.last_day, '[]') INTO row_count, bad_row_count, days;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION postback.import_report(text, text, jsonb, text, text, text, jsonb, text, date, date, text, timestamptz) IS
    'Makes an import of the report whose lines the same transaction has copied into postback.report_lines, the header first, and tells how many rows '
    'could not be read (report_rows.problem says why, by line). What is left out comes from the format (without one, that of the network''s preset, '
    'else generic) and from the network; columns such as {"click_id": "Sub ID"} goes over the format''s. The days are those of the rows. The same '
    'report again is a unique_violation.';

-- The format of this name; without a name that of the network's preset, else the generic one.
CREATE FUNCTION _postback.report_format(network_id integer, format text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found_format text;
BEGIN
    SELECT f.format INTO found_format FROM postback.report_formats AS f
    WHERE f.format = format OR format IS NULL AND f.format IN ((SELECT n.preset FROM postback.networks AS n WHERE n.network_id = network_id), 'generic')
    ORDER BY f.format = 'generic' LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'report format "%" does not exist', format USING ERRCODE = 'no_data_found',
            HINT = 'SELECT format, title FROM postback.report_formats lists them; any other export by naming its columns.';
    END IF;
    RETURN found_format;
END
$$;

CREATE FUNCTION postback.report_columns(network text, header text[], format text DEFAULT NULL, columns jsonb DEFAULT NULL)
RETURNS TABLE (field text, place integer, column_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fields CONSTANT text[] := ARRAY['click_id', 'transaction_id', 'conversion_id', 'event', 'status', 'payout', 'currency', 'offer_id', 'time'];
    known CONSTANT jsonb := (
        SELECT f.columns FROM postback.report_formats AS f WHERE f.format = _postback.report_format(_postback.network_id(network), format));
    wrong text;
    found_fields text[] := '{}';
BEGIN
    IF jsonb_typeof(columns) <> 'object' THEN
        RAISE EXCEPTION 'columns must be a JSON object' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as {"click_id": "Sub ID", "time": ["Date", "Datetime"]}: a field and the columns that may hold it.';
    END IF;
    SELECT k.key INTO wrong FROM jsonb_object_keys(columns) AS k (key) WHERE k.key <> ALL (fields) ORDER BY k.key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'columns has a field "%" that is not known', wrong USING ERRCODE = 'invalid_parameter_value',
            HINT = pg_catalog.format('Fields are %s.', array_to_string(fields, ', '));
    END IF;
    FOR field, place, column_name IN
        SELECT DISTINCT ON (m.key) m.key, h.place::integer, h.name
        FROM jsonb_each(known || coalesce(columns, '{}')) AS m
        CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(m.value) WHEN 'array' THEN m.value ELSE jsonb_build_array(m.value) END)
            WITH ORDINALITY AS c (name, preference)
        JOIN unnest(header) WITH ORDINALITY AS h (name, place) ON _postback.plain_name(h.name) = _postback.plain_name(c.name)
        ORDER BY m.key, c.preference, h.place
    LOOP
        found_fields := found_fields || field;
        RETURN NEXT;
    END LOOP;
    SELECT k.key INTO wrong FROM jsonb_object_keys(columns) AS k (key) WHERE k.key <> ALL (found_fields) ORDER BY k.key LIMIT 1;
    wrong := CASE WHEN FOUND THEN wrong
        WHEN 'time' <> ALL (found_fields) THEN 'time'
        WHEN NOT found_fields && ARRAY['click_id', 'transaction_id', 'conversion_id'] THEN 'click_id' END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the report has no column for the field "%"', wrong USING ERRCODE = 'undefined_column',
            HINT = pg_catalog.format('Name it, as in columns => ''{"%s": "…"}''. The header has: %s.', wrong, left(array_to_string(header, ', '), 1000));
    END IF;
END
$$;
COMMENT ON FUNCTION postback.report_columns(text, text[], text, jsonb) IS
    'Which columns of a report''s header import_report() would read, by place from 1. An error says which needed one is missing.';

-- A column's name without case, spaces, punctuation and the mark at the beginning of a file.
CREATE FUNCTION _postback.plain_name(name text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN lower(regexp_replace(name, '[[:space:][:punct:]' || chr(65279) || ']+', '', 'g'));
END
$$;

-- A time of a report: with the parts of its date in this order, also without a time of day. NULL when it is none.
CREATE FUNCTION _postback.read_report_time(written text, dates text, zone text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    date_part text;
    time_part text;
    parts text[];
    clock text[];
    year text;
    month text;
    day text;
    hour integer;
    half text;
BEGIN
    -- A test alone, and then cutting: groups to be given back cost three times as much.
    IF written !~ '^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T,]+\d{1,2}:\d\d(:\d\d(\.\d+)?)?\s*([AaPp][Mm])?)?$' THEN
        RETURN _postback.read_time(written, zone);
    END IF;
    time_part := ltrim(written, '0123456789-/.');
    date_part := left(written, length(written) - length(time_part));
    parts := string_to_array(translate(date_part, '/.', '--'), '-');
    half := lower(nullif(ltrim(time_part, ' T,0123456789:.' || E'\t\n\r\f\v'), ''));
    clock := string_to_array(rtrim(ltrim(time_part, ' T,'), 'AaPpMm ' || E'\t\n\r\f\v'), ':');
    year := parts[CASE WHEN dates = 'ymd' THEN 1 ELSE 3 END];
    month := parts[CASE WHEN dates = 'mdy' THEN 1 ELSE 2 END];
    day := parts[CASE dates WHEN 'ymd' THEN 3 WHEN 'mdy' THEN 2 ELSE 1 END];
    hour := clock[1]::integer;
    IF length(year) <> 4 OR length(day) > 2 OR length(month) > 2 OR half IS NOT NULL AND hour NOT BETWEEN 1 AND 12 THEN
        RETURN NULL;
    END IF;
    RETURN _postback.read_time(format('%s-%s-%s %s:%s:%s', year, lpad(month, 2, '0'), lpad(day, 2, '0'),
        lpad((CASE WHEN half IS NULL THEN coalesce(hour, 0) ELSE hour % 12 + 12 * (half = 'pm')::integer END)::text, 2, '0'),
        coalesce(clock[2], '00'), coalesce(clock[3], '00')), zone);
END
$$;

CREATE FUNCTION postback.delete_report(import_id bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    deleted bigint;
BEGIN
    PERFORM _postback.report_import(import_id);
    DELETE FROM postback.report_rows AS r WHERE r.import_id = import_id;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM postback.report_imports AS i WHERE i.import_id = import_id;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION postback.delete_report(bigint) IS 'Forgets an import with its rows and discrepancies, so that the file can be read in another way; returns the number of its rows.';

-- The import, locked until the end of the transaction; an error when there is none. One import at a time is worked on: they share a table.
CREATE FUNCTION _postback.report_import(import_id bigint)
RETURNS _postback.report LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found_import _postback.report;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('postback.reconcile', 0));
    SELECT i.import_id, i.network_id, i.time_zone, i.own_time_zone, i.first_day, i.last_day, i.row_count, i.bad_row_count, i.imported_at, i.matched_by,
           i.clock_offset
    INTO found_import FROM postback.report_imports AS i WHERE i.import_id = import_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'import "%" does not exist', import_id USING ERRCODE = 'no_data_found',
            HINT = 'SELECT import_id, network, first_day, last_day FROM postback.reconciliations lists them.';
    END IF;
    RETURN found_import;
END
$$;
