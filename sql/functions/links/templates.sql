-- Offer URL templates: checked when saved, rendered on every tap. The rules are in extension/core.

-- True, or an error that says what is wrong: made for a CHECK constraint.
CREATE FUNCTION _postback.check_url_template(url_template text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_url_template_wrapper';

CREATE FUNCTION _postback.render_url(
    url_template text, click_id text, campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint,
    send_id bigint, subs jsonb)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'render_url_wrapper';

CREATE FUNCTION postback.add_offer(
    name text,
    url_template text,
    offer_id bigint DEFAULT NULL,
    network text DEFAULT NULL,
    network_offer_id text DEFAULT NULL,
    click_window interval DEFAULT '7 days',
    model text DEFAULT 'last_click',
    payout numeric DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chosen_network integer;
    new_offer bigint;
BEGIN
    IF network IS NOT NULL THEN
        chosen_network := _postback.network_id(network);
    END IF;
    IF offer_id IS NULL THEN
        INSERT INTO postback.offers (name, url_template, network_id, network_offer_id, click_window, model, payout)
        VALUES (name, url_template, chosen_network, network_offer_id, click_window, model, payout)
        RETURNING postback.offers.offer_id INTO new_offer;
    ELSE
        INSERT INTO postback.offers (offer_id, name, url_template, network_id, network_offer_id, click_window, model, payout)
        VALUES (offer_id, name, url_template, chosen_network, network_offer_id, click_window, model, payout)
        RETURNING postback.offers.offer_id INTO new_offer;
    END IF;
    -- The next number that is given goes on after the ones that were chosen.
    PERFORM setval(pg_get_serial_sequence('postback.offers', 'offer_id'), (SELECT max(o.offer_id) FROM postback.offers AS o));
    RETURN new_offer;
END
$$;
COMMENT ON FUNCTION postback.add_offer(text, text, bigint, text, text, interval, text, numeric) IS
    'Saves an offer and returns its offer_id. url_template must be http(s) and contain {click_id}; no macro in the host.';
