CREATE FUNCTION postback.create_send(
    campaign_id bigint,
    offer_id bigint DEFAULT NULL,
    segment_id bigint DEFAULT NULL,
    variant_id bigint DEFAULT NULL,
    base_url text DEFAULT NULL,
    cost_per_message numeric DEFAULT 0,
    cost_currency text DEFAULT 'USD',
    partner_id bigint DEFAULT NULL,
    sent_at timestamptz DEFAULT clock_timestamp())
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chosen_offer bigint := coalesce(offer_id, (SELECT c.offer_id FROM postback.campaigns AS c WHERE c.campaign_id = create_send.campaign_id));
    chosen_partner bigint := coalesce(partner_id, (SELECT c.partner_id FROM postback.campaigns AS c WHERE c.campaign_id = create_send.campaign_id));
    chosen_url text := rtrim(coalesce(base_url, current_setting('postback.base_url', true), ''), '/');
    new_send bigint;
BEGIN
    IF campaign_id IS NULL THEN
        RAISE EXCEPTION 'a send needs a campaign' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF chosen_offer IS NULL THEN
        RAISE EXCEPTION 'send of campaign % has no offer', campaign_id USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass offer_id, or give the campaign one: INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (…).';
    END IF;
    IF chosen_url = '' THEN
        RAISE EXCEPTION 'send of campaign % has no base URL for its links', campaign_id USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass base_url, or set it for all sends: ALTER DATABASE … SET postback.base_url = ''https://s.example.com''.';
    END IF;
    INSERT INTO postback.sends (campaign_id, segment_id, variant_id, offer_id, partner_id, base_url, cost_per_message, cost_currency, sent_at)
    VALUES (campaign_id, segment_id, variant_id, chosen_offer, chosen_partner, chosen_url, cost_per_message, cost_currency, sent_at)
    RETURNING send_id INTO new_send;
    RETURN new_send;
END
$$;
COMMENT ON FUNCTION postback.create_send(bigint, bigint, bigint, bigint, text, numeric, text, bigint, timestamptz) IS
    'Registers one blast and returns its send_id. Offer and partner default to the campaign''s, base_url to the setting postback.base_url.';
