-- What the specs share. A brace ends a block of a spec, so URL templates cannot be written there.
CREATE FUNCTION add_test_offer(offer_id bigint)
RETURNS bigint LANGUAGE sql AS $$
    SELECT postback.add_offer('Test offer', 'https://network.example.com/?c={click_id}', offer_id => $1)
$$;
