-- Nothing to repair while no touches are kept.
CREATE FUNCTION _postback.repair_touches(since timestamptz, until timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN 0;
END
$$;
