use super::*;
use proptest::prelude::*;

fn journey(channels: &[usize], converted: u64, lost: u64) -> Journey {
    Journey { channels: channels.to_vec(), converted, lost }
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], by: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < by, "{found} is not {expected}");
    }
}

/// The definition itself: what a channel adds, over all orders of the channels.
fn by_all_orders(channels: usize, worth: impl Fn(&[usize]) -> f64) -> Vec<f64> {
    fn visit(order: &mut Vec<usize>, channels: usize, seen: &mut dyn FnMut(&[usize])) {
        if order.len() == channels {
            return seen(order);
        }
        for channel in 0..channels {
            if !order.contains(&channel) {
                order.push(channel);
                visit(order, channels, seen);
                order.pop();
            }
        }
    }
    let (mut values, mut orders) = (vec![0.0; channels], 0.0);
    visit(&mut Vec::new(), channels, &mut |order| {
        orders += 1.0;
        for (place, &channel) in order.iter().enumerate() {
            values[channel] += worth(&order[..=place]) - worth(&order[..place]);
        }
    });
    values.iter().map(|value| value / orders).collect()
}

fn within<'a>(journeys: &'a [Journey], coalition: &'a [usize]) -> impl Iterator<Item = &'a Journey> {
    journeys.iter().filter(|journey| journey.channels.iter().all(|channel| coalition.contains(channel)))
}

fn conversions(journeys: &[Journey], coalition: &[usize]) -> f64 {
    within(journeys, coalition).map(|journey| journey.converted as f64).sum()
}

fn rate(journeys: &[Journey], coalition: &[usize]) -> f64 {
    let all: f64 = within(journeys, coalition).map(|journey| (journey.converted + journey.lost) as f64).sum();
    if all == 0.0 { 0.0 } else { conversions(journeys, coalition) / all }
}

#[test]
fn a_conversion_is_divided_among_those_it_touched() {
    let journeys = [journey(&[0, 1, 0], 6, 0), journey(&[2], 1, 9)];
    assert_near(&values(&journeys, 3, Worth::Conversions, 0, 0, || ()), &[3.0, 3.0, 1.0], 1e-12);
}

#[test]
fn rates_of_two_channels() {
    // Alone 0 converts 1 of 10 and 1 none of 10; all together 6 of 30.
    // 0: half of (1/10 - 0) and of (6/30 - 0); 1: half of (0 - 0) and of (6/30 - 1/10).
    let journeys = [journey(&[0], 1, 9), journey(&[1], 0, 10), journey(&[0, 1], 5, 5)];
    assert_near(&values(&journeys, 2, Worth::Rate, 0, 0, || ()), &[0.15, 0.05], 1e-12);
}

#[test]
fn a_channel_that_lowers_the_rate_is_worth_less_than_nothing() {
    let journeys = [journey(&[0], 5, 5), journey(&[0, 1], 0, 10)];
    assert_near(&values(&journeys, 2, Worth::Rate, 0, 0, || ()), &[0.375, -0.125], 1e-12);
}

#[test]
fn drawn_orders_depend_on_the_seed_alone() {
    let journeys: Vec<Journey> = (0..30).map(|first| journey(&[first, first * 7 % 30], first as u64, 20)).collect();
    let drawn = |seed| values(&journeys, 30, Worth::Rate, 50, seed, || ());
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

fn journeys() -> impl Strategy<Value = Vec<Journey>> {
    let one = (prop::collection::vec(0_usize..5, 1..7), 0_u64..20, 0_u64..20)
        .prop_map(|(channels, converted, lost)| Journey { channels, converted, lost });
    prop::collection::vec(one, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_are_those_of_the_definition(journeys in journeys()) {
        assert_near(&values(&journeys, 5, Worth::Conversions, 0, 0, || ()), &by_all_orders(5, |c| conversions(&journeys, c)), 1e-9);
        assert_near(&values(&journeys, 5, Worth::Rate, 0, 0, || ()), &by_all_orders(5, |c| rate(&journeys, c)), 1e-9);
    }

    #[test]
    fn drawn_orders_come_near_and_add_up(journeys in journeys(), seed: u64) {
        let drawn = over_drawn_orders(&journeys, 5, 4000, seed, || ());
        assert_near(&drawn, &over_coalitions(&journeys, 5, || ()), 0.05);
        prop_assert!((drawn.iter().sum::<f64>() - rate(&journeys, &[0, 1, 2, 3, 4])).abs() < 1e-9);
    }

    #[test]
    fn who_is_on_no_journey_adds_nothing(journeys in journeys()) {
        for worth in [Worth::Conversions, Worth::Rate] {
            prop_assert!(values(&journeys, 6, worth, 0, 0, || ())[5].abs() < 1e-12);
        }
    }
}
