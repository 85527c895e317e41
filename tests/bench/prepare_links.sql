-- One send with :links links to as many subscribers, in one call of mint_links that is timed;
-- the codes stay in bench_links.
SELECT postback.add_offer(name => 'Bench', offer_id => 789,
    url_template => 'https://network.example.com/offer/789?aff_click_id={click_id}');
CREATE TABLE bench_sends AS
SELECT postback.create_send(456, 789, 101, 1, 'https://s.example.com') AS send_id;
\timing on
SELECT count(l.code)
FROM bench_sends AS s, postback.mint_links(s.send_id, ARRAY(SELECT generate_series(1, :links)::bigint)) AS l;
\timing off
CREATE TABLE bench_links AS
SELECT l.subscriber_id, _postback.encode_code(l.link_id, k.key) AS code
FROM postback.links AS l, (SELECT postback.code_key() AS key OFFSET 0) AS k;
