-- The first start of the database image: the extension, its tables, the role with whose rights its functions run, and the one that
-- the proxy needs.
\set proxy_password `printf '%s' "$POSTBACK_PROXY_PASSWORD"`
-- Neither the statement nor the password may end up in the server's log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
CREATE ROLE postback_proxy LOGIN PASSWORD :'proxy_password';
CREATE ROLE postback_owner NOLOGIN;
CREATE EXTENSION postback;
SELECT postback.install('postback_owner');
SELECT postback.grant_role('postback_proxy', 'ingest');
