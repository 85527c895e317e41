-- Links are partitioned by ranges of 256 sends, made when the first send of a range mints.
CREATE FUNCTION _postback.ensure_link_partition(send_id bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    range_number CONSTANT bigint := send_id / 256;
    partition CONSTANT text := format('links_%s', range_number);
    from_link CONSTANT bigint := (range_number * 256) << 40;
    to_link CONSTANT text := CASE WHEN range_number = 32767 THEN 'MAXVALUE' ELSE (((range_number + 1) * 256) << 40)::text END;
BEGIN
    IF to_regclass('postback.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Two senders may open the same range at once: the second waits here and finds it made.
    PERFORM pg_advisory_xact_lock(hashtextextended('postback.links', 0));
    IF to_regclass('postback.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM _postback.add_partition('links', partition, from_link::text, to_link);
END
$$;

-- Makes a partition beside its parent and attaches it: ATTACH lets readers and writers of the parent go on,
-- where CREATE TABLE … PARTITION OF would stop them all.
CREATE FUNCTION _postback.add_partition(parent text, partition text, from_value text, to_value text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner name;
BEGIN
    SELECT r.rolname INTO STRICT owner
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
    WHERE c.oid = format('postback.%I', parent)::regclass;
    EXECUTE format('CREATE TABLE postback.%I (LIKE postback.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, parent);
    EXECUTE format('ALTER TABLE postback.%I OWNER TO %I', partition, owner);
    EXECUTE format('ALTER TABLE postback.%I ATTACH PARTITION postback.%I FOR VALUES FROM (%s) TO (%s)', parent, partition,
        from_value, to_value);
END
$$;
