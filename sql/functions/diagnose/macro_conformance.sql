-- Does the network fill in what its postback URL asks for? Read again from the raw messages, the newest ones.
CREATE FUNCTION postback.macro_conformance(network text, last integer DEFAULT 200, now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (
    field text, parameter text, macro text, messages bigint, resolved bigint, literal bigint, absent bigint, last_resolved_at timestamptz,
    failing bigint, failing_since timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    id CONSTANT integer := _postback.network_id(network);
BEGIN
    -- What came encrypted cannot be read again.
    IF EXISTS (SELECT FROM _postback.network_secrets AS s WHERE s.network_id = id AND s.kind = 'clickbank_ins') THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH message AS MATERIALIZED (
        SELECT p.received_at, p.query, p.body, p.content_type, row_number() OVER (ORDER BY p.received_at DESC, p.postback_id DESC) AS age
        FROM postback.postbacks AS p
        -- Who is not the network says nothing about it.
        WHERE p.network_id = id AND p.verdict NOT IN ('test', 'unauthenticated') AND p.received_at <= now AND p.received_at > now - interval '90 days'
        ORDER BY p.received_at DESC, p.postback_id DESC LIMIT last
    ), asked AS (
        SELECT f.key AS field, _postback.parameter_name(m.pair ->> 0, p.parameters, n.parameters) AS parameter, m.pair ->> 1 AS macro, m.place,
               jsonb_build_object('event', f.value) AS map
        FROM postback.networks AS n
        JOIN postback.network_presets AS p ON p.preset = n.preset
        CROSS JOIN LATERAL jsonb_array_elements(n.macros) WITH ORDINALITY AS m (pair, place)
        JOIN LATERAL jsonb_each(n.parameters) AS f ON f.value ? _postback.parameter_name(m.pair ->> 0, p.parameters, n.parameters)
        WHERE n.network_id = id AND f.key NOT IN ('token', 'signature')
    ), seen AS (
        SELECT a.field, a.parameter, a.macro, a.place, m.received_at, m.age, r.event IS NOT NULL AS is_resolved,
               r.event IS NULL AND coalesce(r.note LIKE '%holds a macro%', false) AS is_literal
        FROM asked AS a CROSS JOIN message AS m
        -- One field at a time, through the network's own names: any of them will do.
        CROSS JOIN LATERAL _postback.read_parameters(m.query, m.body, m.content_type, a.map, NULL) AS r
    ), run AS (
        -- How many of the newest messages lack it.
        SELECT s.*, coalesce(min(s.age) FILTER (WHERE s.is_resolved) OVER (PARTITION BY s.parameter), max(s.age) OVER (PARTITION BY s.parameter) + 1) - 1 AS failing
        FROM seen AS s
    )
    SELECT r.field, r.parameter, r.macro, count(*), count(*) FILTER (WHERE r.is_resolved), count(*) FILTER (WHERE r.is_literal),
           count(*) FILTER (WHERE NOT r.is_resolved AND NOT r.is_literal), max(r.received_at) FILTER (WHERE r.is_resolved),
           r.failing, min(r.received_at) FILTER (WHERE r.age <= r.failing)
    FROM run AS r GROUP BY r.field, r.parameter, r.macro, r.place, r.failing ORDER BY r.place;
END
$$;
COMMENT ON FUNCTION postback.macro_conformance(text, integer, timestamptz) IS
    'For each macro that postback_url() asks a network for: in how many of its last messages (200) the parameter came resolved, as the literal macro, or not '
    'at all; when it was last resolved, and how many of the newest messages lack it since when. Tests and refused messages are left out.';
