-- Who made a hit. The rules and the list of crawlers are in extension/core.

CREATE FUNCTION _postback.visitor_class(method text, purpose text, user_agent text)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'visitor_class_wrapper';

-- One expression in plain SQL, so that the planner inlines it.
CREATE FUNCTION postback.classify_visitor(method text, purpose text, user_agent text)
RETURNS postback.visitor LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT _postback.visitor_class(method, purpose, user_agent)::postback.visitor
$$;
COMMENT ON FUNCTION postback.classify_visitor(text, text, text) IS
    'Visitor class of a hit: HEAD, then prefetch headers, then link previews, then known crawlers, then an empty user agent (suspect), else human. '
    'A user agent of NULL was not looked at: whoever records such a click vouches for it.';
