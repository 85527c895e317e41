-- Whose rights definer functions have: those of the owner, who is no superuser, also after a restore.
SELECT no_plan();
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
       WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND (r.rolsuper OR r.rolname <> 'postback_owner') $$,
    'no function has the rights of a superuser');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace)
         AND c.relkind IN ('r', 'p', 'v', 'S', 'i', 'I') AND c.relowner <> 'postback_owner'::regrole $$, 'all tables and views are the owner''s');

BEGIN;
CREATE ROLE postback_test_ingest;
CREATE ROLE postback_test_analyst;
-- A grant of the owner, not of a superuser.
SET LOCAL ROLE postback_owner;
SELECT postback.grant_role('postback_test_ingest', 'ingest'), postback.grant_role('postback_test_analyst', 'analyst') \g /dev/null
RESET ROLE;
SELECT is((SELECT DISTINCT a.grantor::regrole::text FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE p.oid = 'postback.maintain(timestamptz, text[])'::regprocedure),
    'postback_owner', 'the owner may grant what is his');

-- What an attacker could do if he found a way to run code inside a definer function: here a trigger does what he would try.
CREATE TEMP TABLE tried (statement text, ran_as text, ended text);
GRANT INSERT ON pg_temp.tried TO PUBLIC;
CREATE FUNCTION public.attack() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY['SELECT pg_read_file(''postgresql.conf'')', 'CREATE ROLE postback_test_attacker', 'COPY (SELECT 1) TO PROGRAM ''true''',
        'ALTER ROLE postback_owner SUPERUSER', 'SELECT rolpassword FROM pg_authid', 'SET session_replication_role = replica'] LOOP
        BEGIN
            EXECUTE statement;
            INSERT INTO pg_temp.tried VALUES (statement, current_user, 'done');
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO pg_temp.tried VALUES (statement, current_user, sqlstate);
        END;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER attack AFTER INSERT ON postback.clicks FOR EACH STATEMENT EXECUTE FUNCTION public.attack();
CREATE TRIGGER attack AFTER INSERT ON postback.postbacks FOR EACH STATEMENT EXECUTE FUNCTION public.attack();
SET LOCAL ROLE postback_test_ingest;
SELECT click_id FROM postback.record_click(click_id => 'attacked') \g /dev/null
SELECT verdict FROM postback.receive_postback('default', 'click_id=attacked&payout=5') \g /dev/null
RESET ROLE;
SELECT cmp_ok(count(*), '>=', 6::bigint, 'the attack ran inside a function that ingest may call') FROM pg_temp.tried;
SELECT is(string_agg(DISTINCT ran_as, ','), 'postback_owner', 'with the rights of the owner') FROM pg_temp.tried;
SELECT is_empty('SELECT statement, ended FROM pg_temp.tried WHERE ended <> ''42501''', 'and could do nothing that takes a superuser');
ROLLBACK;

-- A restore leaves all functions with the superuser who restores; the first housekeeping gives them back, and goes on as the owner.
BEGIN;
SELECT current_user AS superuser \gset
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO CURRENT_USER', function);
    END LOOP;
END $$;
ALTER SCHEMA postback OWNER TO CURRENT_USER;
SELECT is((SELECT count(*) FROM postback.maintain('2041-01-01 12:00+00') WHERE task = 'clicks_partitions' AND done = 9), 1::bigint, 'maintain() does its work in a restored database');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc AS p
       WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND p.proowner <> 'postback_owner'::regrole $$,
    'and has given all functions back to the owner of the tables');
SELECT is((SELECT relowner::regrole::text FROM pg_class WHERE oid = 'postback.clicks_20410101'::regclass), 'postback_owner', 'the partitions that it made are the owner''s too');
ROLLBACK;

SELECT throws_ok('SELECT postback.set_owner(''postback_test_missing'')', '42704', 'role "postback_test_missing" does not exist', 'a missing role is not made');
BEGIN;
CREATE ROLE "postback test, Owner";
SELECT lives_ok('SELECT postback.set_owner(''postback test, Owner'')', 'a name of any kind may own');
SELECT lives_ok('SELECT postback.set_owner()', 'without a name it is the owner of the tables');
SELECT is((SELECT proowner::regrole::text FROM pg_proc WHERE oid = 'postback.install(text)'::regprocedure), '"postback test, Owner"', 'who stays it');
SELECT * FROM finish();
ROLLBACK;
