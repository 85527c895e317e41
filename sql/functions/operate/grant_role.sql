-- No cluster roles are made: existing ones get what their work needs, and nothing else.
CREATE FUNCTION postback.grant_role(role text, kind text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    granted text;
    ingest CONSTANT text[] := ARRAY['record_clicks', 'record_click', 'receive_postbacks', 'receive_postback', 'code_key', 'version', 'maintain',
        'maintenance_tasks', 'replay_clicks', 'routes', 'keep_dead_letter', 'claim_deliveries', 'finish_deliveries', 'next_delivery_at',
        'report_spool', 'record_preflight'];
    -- What reports call as whoever asks for them.
    arithmetic CONSTANT text[] := ARRAY['credited_place', 'shares', 'qualifying', 'each_share', 'revenue', 'credit_of', 'offers_of', 'check_attribution', 'conversion_paths',
        'path_attribution', 'journeys', 'default_network', 'markov_shares', 'shapley_shares', 'minor_units'];
    -- And what an admin's functions call.
    checks CONSTANT text[] := ARRAY['visitor_class', 'source_cidrs'];
    reports CONSTANT text[] := ARRAY['attribution', 'compare_models', 'explain_credit', 'markov_attribution', 'shapley_attribution', 'performance', 'compare_performance', 'compare_variants',
        'next_offer', 'conversion_history', 'verify_ledger', 'version', 'click_id_time', 'click_id_bucket', 'subscriber_bucket', 'report_totals', 'report_columns',
        'payables', 'partner_trust', 'diagnose', 'preflight', 'macro_conformance'];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = 'undefined_object', HINT = 'CREATE ROLE first; postback makes none.';
    ELSIF kind IS NULL OR kind NOT IN ('ingest', 'analyst', 'admin') THEN
        RAISE EXCEPTION 'kind "%" of role is not known', kind USING ERRCODE = 'invalid_parameter_value', HINT = 'One of ingest, analyst, admin.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA postback TO %I', role);
    FOR granted IN
        SELECT f.oid::regprocedure::text FROM pg_proc AS f
        WHERE f.pronamespace = 'postback'::regnamespace
          AND (kind = 'admin' OR f.proname = ANY (CASE kind WHEN 'ingest' THEN ingest ELSE reports END))
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted, role);
    END LOOP;
    IF kind IN ('analyst', 'admin') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA _postback TO %I', role);
        FOR granted IN
            SELECT f.oid::regprocedure::text FROM pg_proc AS f
            WHERE f.pronamespace = '_postback'::regnamespace AND (f.proname = ANY (arithmetic) OR kind = 'admin' AND f.proname = ANY (checks))
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted, role);
        END LOOP;
        FOR granted IN
            SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'postback'::regnamespace AND c.relkind = 'v'
        LOOP
            EXECUTE format('GRANT SELECT ON %s TO %I', granted, role);
        END LOOP;
        EXECUTE format('GRANT SELECT ON postback.campaigns, postback.segments, postback.variants, postback.offers, postback.networks, '
            'postback.network_presets, postback.sends, postback.partners, postback.payout_tiers, postback.tier_rules, postback.tier_changes, '
            'postback.statements, postback.statement_lines, postback.status_transitions, postback.alerts, postback.rollups, postback.report_formats, '
            'postback.fraud_rules, postback.alert_rules, postback.preflight_runs, postback.retention TO %I', role);
    END IF;
    IF kind = 'admin' THEN
        -- The CHECK of offers.url_template runs as whoever saves the offer.
        EXECUTE format('GRANT EXECUTE ON FUNCTION _postback.check_url_template(text) TO %I', role);
        -- And that of fraud_rules.
        EXECUTE format('GRANT EXECUTE ON FUNCTION _postback.check_fraud_rule(text, jsonb), _postback.fraud_defaults(text) TO %I', role);
        EXECUTE format('GRANT UPDATE (enabled, parameters, severity, action) ON postback.fraud_rules TO %I', role);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON postback.campaigns, postback.segments, postback.variants, postback.offers, '
            'postback.networks, postback.link_aliases, postback.status_transitions, postback.report_formats, postback.payout_tiers, '
            'postback.tier_rules, postback.partners, postback.alert_rules TO %I', role);
        EXECUTE format('GRANT UPDATE (partner_id) ON postback.sends TO %I', role);
        EXECUTE format('GRANT SELECT ON postback.link_aliases, postback.clicks, postback.conversions, postback.conversion_events, '
            'postback.postbacks, postback.links, postback.touches, postback.destinations, postback.deliveries, postback.report_imports, postback.report_rows, '
            'postback.discrepancies, postback.flags, postback.ip_ranges TO %I', role);
        EXECUTE format('GRANT INSERT ON postback.report_lines TO %I', role);
        -- Not what the sending keeps there, nor enabled: that is enable_destination()'s.
        EXECUTE format('GRANT UPDATE (name, offer_id, network_id, partner_id, statuses, events, method, url_template, body_template, content_type, signing, '
            'max_concurrency, max_rate, timeout, retry_after_failures, disable_after) ON postback.destinations TO %I', role);
        EXECUTE format('GRANT INSERT ON postback.clicks TO %I', role);
        -- Not the id, the key and the ledger: those are made.
        EXECUTE format('GRANT INSERT (network_id, transaction_id, event, click_id, clicked_at, send_id, campaign_id, segment_id, variant_id, '
            'offer_id, subscriber_id, status, raw_status, payout, currency, converted_at, received_at, source_ip) ON postback.conversions TO %I', role);
        EXECUTE format('GRANT UPDATE (status, payout) ON postback.conversions TO %I', role);
    END IF;
END
$$;
COMMENT ON FUNCTION postback.grant_role(text, text) IS
    'Gives an existing role what its work needs. ingest: EXECUTE on the functions the proxy calls; analyst: views and reports, no address, '
    'user agent or secret; admin: configuration, direct inserts and status changes. Call it as the owner of the tables.';
