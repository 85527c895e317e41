CREATE FUNCTION postback.mint_links(send_id bigint, subscriber_ids bigint[])
RETURNS TABLE (subscriber_id bigint, code text, url text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT bigint := cardinality(subscriber_ids);
    first_counter bigint;
    prefix text;
    minted record;
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

    SELECT n.* INTO STRICT minted FROM _postback.number_links(mint_links.send_id, first_counter, subscriber_ids) AS n;
    -- In index order: a million scattered insertions cost twice as much.
    INSERT INTO postback.links (link_id, bucket, subscriber_id)
    SELECT l.link_id, _postback.link_bucket(l.link_id), l.subscriber_id
    FROM (SELECT unnest(minted.sorted_link_ids) AS link_id, unnest(minted.sorted_subscriber_ids) AS subscriber_id) AS l;
    RETURN QUERY
    SELECT c.subscriber_id, c.code, prefix || c.code
    FROM (SELECT unnest(subscriber_ids) AS subscriber_id, unnest(_postback.encode_codes(minted.link_ids, key)) AS code) AS c;
END
$$;
COMMENT ON FUNCTION postback.mint_links(bigint, bigint[]) IS
    'One new link per element, in order: the URL to put into that subscriber''s message. Called twice it mints twice.';
