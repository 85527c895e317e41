-- The first start of the database image: the extension, its tables, and the one role that the proxy needs.
\set proxy_password `printf '%s' "$POSTBACK_PROXY_PASSWORD"`
-- Neither the statement nor the password may end up in the server's log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
CREATE ROLE postback_proxy LOGIN PASSWORD :'proxy_password';
CREATE EXTENSION postback;
SELECT postback.install();
SELECT postback.grant_role('postback_proxy', 'ingest');
