use super::*;
use proptest::prelude::*;

fn journey(channels: &[usize], converted: u64, lost: u64) -> Journey {
    Journey { channels: channels.to_vec(), converted, lost }
}

fn effects(journeys: &[Journey], channels: usize, order: usize) -> Vec<f64> {
    removal_effects(journeys, channels, order, || ())
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn one_channel_loses_everything() {
    assert_near(&effects(&[journey(&[0], 3, 7)], 1, 1), &[1.0]);
}

#[test]
fn the_chain_of_a_textbook() {
    // start → 0 always; 0 → 1 in 2 of 3, else 0 → conversion; 1 → conversion in 1 of 2.
    // All convert with 1/3 + 2/3 · 1/2 = 2/3; without 1 only the 1/3.
    let journeys = [journey(&[0], 1, 0), journey(&[0, 1], 1, 1)];
    assert_near(&effects(&journeys, 2, 1), &[1.0, 0.5]);
}

#[test]
fn journeys_share_their_states_in_the_first_order() {
    // Nobody goes 1 → 0 → 2, but a chain of order 1 has forgotten the 1 when it is at 0.
    // Conversions 2 of 2. From 0 half go to 2. Without 2: 0 and 1 → 0 convert with 1/2.
    let journeys = [journey(&[0, 2], 1, 0), journey(&[1, 0], 1, 0)];
    assert_near(&effects(&journeys, 3, 1), &[1.0, 0.5, 0.5]);
    // Of order 2 it has not.
    assert_near(&effects(&journeys, 3, 2), &[1.0, 0.5, 0.5]);
    let journeys = [journey(&[0, 2], 1, 0), journey(&[1, 0], 1, 1)];
    assert_near(&effects(&journeys, 3, 1), &[1.0, 2.0 / 3.0, 0.5]);
    assert_near(&effects(&journeys, 3, 2), &[1.0, 0.5, 0.5]);
}

#[test]
fn circles_are_walked_to_their_end() {
    // From 0 half go on to 1 and half convert; from 1 all go back to 0.
    let journeys = [journey(&[0], 1, 0), journey(&[0, 1, 0], 1, 0)];
    // At 0 three times, left to 1 once: 1/3. Without 1, 2/3 convert.
    assert_near(&effects(&journeys, 2, 1), &[1.0, 1.0 / 3.0]);
}

#[test]
fn staying_changes_nothing_in_the_first_order() {
    let short = [journey(&[0, 1], 2, 1), journey(&[1], 1, 5)];
    let long = [journey(&[0, 0, 0, 1, 1], 2, 1), journey(&[1, 1], 1, 5)];
    assert_near(&effects(&long, 2, 1), &effects(&short, 2, 1));
}

#[test]
fn nothing_to_go_by_is_no_effect() {
    assert_eq!(effects(&[], 0, 1), [0.0; 0]);
    assert_eq!(effects(&[journey(&[0], 0, 5)], 2, 1), [0.0, 0.0]);
    assert_eq!(effects(&[journey(&[0], 0, 0)], 1, 1), [0.0]);
}

fn journeys() -> impl Strategy<Value = Vec<Journey>> {
    let one = (prop::collection::vec(0_usize..5, 1..7), 0_u64..20, 0_u64..20)
        .prop_map(|(channels, converted, lost)| Journey { channels, converted, lost });
    prop::collection::vec(one, 1..20)
        .prop_filter("something converts", |journeys| journeys.iter().any(|journey| journey.converted > 0))
}

proptest! {
    #[test]
    fn the_chain_converts_as_often_as_its_journeys(journeys in journeys(), order in 1_usize..5) {
        let chain = Chain::fit(&journeys, order);
        prop_assert!((chain.conversions(None, &mut || ()) - chain.conversion_rate).abs() < 1e-12);
    }

    #[test]
    fn an_order_beyond_all_journeys_remembers_them_whole(journeys in journeys()) {
        let converted: u64 = journeys.iter().map(|journey| journey.converted).sum();
        let through = |channel| -> u64 {
            journeys.iter().filter(|journey| journey.channels.contains(&channel)).map(|journey| journey.converted).sum()
        };
        // The states must not forget, so no channel may follow itself: staying is left out.
        let journeys: Vec<Journey> = journeys.iter().cloned().map(|mut journey| { journey.channels.dedup(); journey }).collect();
        let found = effects(&journeys, 5, 9);
        for (channel, found) in found.iter().enumerate() {
            prop_assert!((found - through(channel) as f64 / converted as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn effects_are_fractions_and_something_has_one(journeys in journeys(), order in 1_usize..5) {
        let found = effects(&journeys, 5, order);
        prop_assert!(found.iter().all(|effect| (0.0..=1.0).contains(effect)));
        prop_assert!(found.iter().sum::<f64>() > 0.0);
    }

    #[test]
    fn a_channel_that_is_on_every_way_loses_everything(journeys in journeys(), order in 1_usize..5) {
        let mut journeys = journeys;
        for journey in &mut journeys {
            journey.channels.push(5);
        }
        prop_assert!((effects(&journeys, 6, order)[5] - 1.0).abs() < 1e-12);
    }
}
