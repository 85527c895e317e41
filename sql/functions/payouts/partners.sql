-- Partners and the triggers that keep their tiers and statements true.

-- A change of the tier is dated and has its own reason, whoever makes it.
CREATE FUNCTION _postback.date_tier_change()
RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.tier_id = OLD.tier_id THEN
        NEW.tier_since := OLD.tier_since;
        RETURN NEW;
    END IF;
    IF NEW.tier_since = OLD.tier_since THEN
        NEW.tier_since := clock_timestamp();
    END IF;
    IF NEW.tier_since <= OLD.tier_since THEN
        RAISE EXCEPTION 'partner "%" came into the tier of now at %, not before %', OLD.name, OLD.tier_since, NEW.tier_since
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave tier_since out: the change is dated now.';
    END IF;
    IF NEW.tier_reason IS NOT DISTINCT FROM OLD.tier_reason THEN
        NEW.tier_reason := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION _postback.note_tier_change()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO postback.tier_changes (partner_id, changed_at, tier_id, reason, actor)
    VALUES (NEW.partner_id, NEW.tier_since, NEW.tier_id, NEW.tier_reason, session_user::text);
    RETURN NULL;
END
$$;

-- Lines come before their statement, all at once.
CREATE FUNCTION _postback.refuse_late_line()
RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM postback.statements AS s WHERE s.statement_id = NEW.statement_id) THEN
        RAISE EXCEPTION 'statement % is closed', NEW.statement_id USING ERRCODE = 'PB203',
            HINT = 'A closed statement stays as it is: what changes later is in the next one.';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION _postback.check_statement()
RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM postback.statement_lines AS l WHERE l.statement_id = NEW.statement_id
        HAVING sum(l.amount) = NEW.amount AND count(*) = NEW.lines) THEN
        RAISE EXCEPTION 'statement % and its lines would disagree', NEW.statement_id USING ERRCODE = 'PB202',
            HINT = 'Statements are made by postback.close_payout().';
    END IF;
    RETURN NULL;
END
$$;

-- Whose a conversion is: the partner's of its send; without a send, of its campaign.
CREATE FUNCTION _postback.partner_of(send_id bigint, campaign_id bigint)
RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF send_id IS NOT NULL THEN
        RETURN (SELECT s.partner_id FROM postback.sends AS s WHERE s.send_id = send_id);
    END IF;
    RETURN (SELECT c.partner_id FROM postback.campaigns AS c WHERE c.campaign_id = campaign_id);
END
$$;
