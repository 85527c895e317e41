-- The demo campaign of `make run`: one offer, two segments with a message variant each, three subscribers.
-- Made once, and only in a database without sends: somebody's own data stays without it. Prints the links, one a line.
-- Variable: base_url, what stands before the code in a link.
SELECT set_config('demo.base_url', :'base_url', false) \g /dev/null

DO $$
DECLARE
    send bigint;
BEGIN
    IF EXISTS (SELECT FROM postback.sends) THEN
        RETURN;
    END IF;
    PERFORM postback.add_offer(
        name => 'Demo offer',
        url_template => 'https://network.example.com/offer/789?aff_click_id={click_id}',
        offer_id => 789);
    INSERT INTO postback.campaigns (campaign_id, name, offer_id) VALUES (456, 'Demo', 789);
    INSERT INTO postback.segments (segment_id, name) VALUES (101, 'Bought before'), (102, 'Never bought');
    INSERT INTO postback.variants (variant_id, name) VALUES (1, 'Short text'), (2, 'With a question');

    send := postback.create_send(456, segment_id => 101, variant_id => 1, cost_per_message => 0.01,
        base_url => current_setting('demo.base_url'));
    PERFORM postback.mint_links(send, ARRAY[1001, 1002]);
    send := postback.create_send(456, segment_id => 102, variant_id => 2, cost_per_message => 0.01,
        base_url => current_setting('demo.base_url'));
    PERFORM postback.mint_links(send, ARRAY[1003]);
END $$;

-- The proxy may listen elsewhere than when the links were minted.
SELECT current_setting('demo.base_url') || '/' || _postback.encode_code(l.link_id, postback.code_key())
FROM postback.links AS l
JOIN postback.sends AS s ON s.send_id = l.link_id >> 40
JOIN postback.campaigns AS c ON c.campaign_id = s.campaign_id AND c.name = 'Demo'
WHERE s.send_id <= 2
ORDER BY l.subscriber_id
LIMIT 3;
