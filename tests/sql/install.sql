-- database: empty
-- What CREATE EXTENSION and install() refuse, what they make and to whom it belongs.
SELECT no_plan();

-- A schema of our name that is there already belongs to somebody else.
CREATE SCHEMA postback;
SELECT throws_ok('CREATE EXTENSION postback', '42P06', NULL, 'a schema "postback" that is there already is refused');
DROP SCHEMA postback;
CREATE SCHEMA _postback;
SELECT throws_ok('CREATE EXTENSION postback', '42P06', NULL, 'a schema "_postback" that is there already is refused');
DROP SCHEMA _postback;
SELECT ok(to_regnamespace('postback') IS NULL, 'a refused CREATE EXTENSION leaves nothing behind');

-- Before install() there is code and no data, so it can go again.
CREATE EXTENSION postback;
SELECT is(
    (SELECT count(*) FROM pg_class WHERE relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND relkind IN ('r', 'p', 'v', 'S')),
    0::bigint, 'CREATE EXTENSION makes no tables');
SELECT lives_ok('DROP EXTENSION postback', 'without data DROP EXTENSION needs no CASCADE');
SELECT ok(to_regnamespace('postback') IS NULL AND to_regnamespace('_postback') IS NULL, 'DROP EXTENSION takes its schemas along');
CREATE EXTENSION postback;
SELECT is(postback.version(), (SELECT extversion FROM pg_extension WHERE extname = 'postback'), 'the library and the SQL are of one version');

-- Somebody else's relations in the schemas are neither taken over nor overwritten.
CREATE TABLE postback.clicks (planted text);
SELECT throws_ok('SELECT postback.install()', '42710', 'schema postback has tables that install() did not make',
    'a table that install() did not make is refused');
DROP TABLE postback.clicks;
CREATE VIEW _postback.planted AS SELECT 1;
SELECT throws_ok('SELECT postback.install()', '42710', NULL, 'a view in the internal schema is refused too');
DROP VIEW _postback.planted;
CREATE SEQUENCE postback.planted;
SELECT throws_ok('SELECT postback.install()', '42710', NULL, 'a sequence is refused too');
DROP SEQUENCE postback.planted;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE postback.clicks (click_id text) SERVER elsewhere;
SELECT throws_ok('SELECT postback.install()', '42710', NULL, 'a foreign table is refused too');
DROP FOREIGN TABLE postback.clicks;

-- A session with settings of its own installs the same as any other.
SET timezone = 'Asia/Kolkata';
SET datestyle = 'German, DMY';
SET search_path = pg_temp, public, tap;
CREATE TEMP TABLE offers (offer_id bigint PRIMARY KEY);
BEGIN;
CREATE ROLE postback_test_other NOLOGIN;
GRANT USAGE, CREATE ON SCHEMA postback, _postback TO postback_test_other;
GRANT EXECUTE ON FUNCTION postback.install(text), _postback.install_steps() TO postback_test_other;
SELECT tap.throws_ok('SET LOCAL ROLE postback_test_other; SELECT postback.install()', '42501',
    'the functions of postback belong to another role than the tables would', 'tables of one role and definer functions of a superuser are refused');
ROLLBACK;
SELECT tap.throws_ok('SELECT postback.install(''postback_test_missing'')', '42704', NULL, 'an owner who does not exist is refused');
SELECT tap.matches(postback.install(), '^postback \d+\.\d+\.\d+ is installed in database ', 'install() says what it installed');
RESET timezone;
RESET datestyle;
SET search_path = public, tap;
SELECT is(
    (SELECT confrelid::regclass::text FROM pg_constraint WHERE conname = 'sends_offer_fkey'), 'postback.offers',
    'a temporary table of the installer is not taken for one of ours');
SELECT is_empty(
    $$ SELECT inhrelid::regclass, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class ON oid = inhrelid
       WHERE inhparent IN ('postback.clicks'::regclass, 'postback.postbacks'::regclass)
         AND pg_get_expr(relpartbound, oid) !~ '^(DEFAULT|FOR VALUES FROM \(''[0-9-]{10} 00:00:00\+00''\) TO \(''[0-9-]{10} 00:00:00\+00''\))$' $$,
    'the first partitions begin at midnight UTC, whatever the time zone of the installer');
SELECT cmp_ok(
    (SELECT count(*) FROM pg_inherits WHERE inhparent = 'postback.clicks'::regclass), '>=', 9::bigint,
    'there are partitions from yesterday to a week ahead');

SELECT throws_ok('SELECT postback.install()', '42710', 'postback is already installed in this database', 'install() twice is refused and says so');
SELECT is((SELECT count(*) FROM _postback.settings), 1::bigint, 'a refused second install() leaves the key alone');

-- The data belongs to the user and survives the code only on purpose.
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
       WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) $$,
    'no table belongs to the extension');
SELECT is_empty(
    $$ SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace)
         AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) $$,
    'everything belongs to whoever called install() without a name');
SELECT throws_ok('DROP EXTENSION postback', '2BP01', NULL, 'DROP EXTENSION without CASCADE refuses while there are tables');
SELECT throws_ok('DROP SCHEMA postback', '2BP01', NULL, 'so does DROP SCHEMA');

-- Constraints and indexes carry names that somebody chose.
SELECT is_empty(
    $$ SELECT conrelid::regclass, conname FROM pg_constraint
       WHERE connamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND conname ~ '_(check|fkey|key)\d+$' $$,
    'no constraint has a numbered name');

SELECT * FROM finish();
