CREATE FUNCTION postback.mint_links(send_id bigint, subscriber_ids bigint[])
RETURNS TABLE (subscriber_id bigint, code text, url text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT bigint := cardinality(subscriber_ids);
    first_counter bigint;
    prefix text;
    key CONSTANT bytea := postback.code_key();
BEGIN
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'subscriber_ids is NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- The row lock makes the counter unique: two calls for one send take turns.
    UPDATE postback.sends AS s SET messages = messages + wanted
    WHERE s.send_id = mint_links.send_id
    RETURNING s.messages - wanted, s.base_url || '/' INTO first_counter, prefix;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'send % does not exist', mint_links.send_id USING ERRCODE = 'no_data_found',
            HINT = 'create_send() makes one and returns its id.';
    END IF;
    PERFORM _postback.ensure_link_partition(mint_links.send_id);

    RETURN QUERY
    WITH minted AS MATERIALIZED (
        SELECT w.subscriber_id, b.bucket, _postback.link_id(mint_links.send_id, b.bucket, first_counter + w.ordinal - 1) AS link_id
        FROM unnest(subscriber_ids) WITH ORDINALITY AS w (subscriber_id, ordinal),
             -- A message to nobody in particular still needs a bucket: its place in the send spreads it.
             LATERAL (SELECT postback.subscriber_bucket(coalesce(w.subscriber_id, first_counter + w.ordinal))) AS b (bucket)
    ), stored AS (
        -- In index order: a million scattered insertions cost twice as much.
        INSERT INTO postback.links (link_id, bucket, subscriber_id)
        SELECT m.link_id, m.bucket, m.subscriber_id FROM minted AS m ORDER BY m.link_id
    )
    SELECT c.subscriber_id, c.code, prefix || c.code
    FROM (SELECT m.subscriber_id, _postback.encode_code(m.link_id, key) AS code FROM minted AS m OFFSET 0) AS c;  -- OFFSET: encode once
END
$$;
COMMENT ON FUNCTION postback.mint_links(bigint, bigint[]) IS
    'One new link per element, in order: the URL to put into that subscriber''s message. Called twice it mints twice.';
