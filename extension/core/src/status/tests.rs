//! The moves one by one, and the promise that order of arrival does not matter.

use super::Status::{Approved, Pending, Rejected, Reversed};
use super::*;
use proptest::prelude::*;

/// Events without a time of their own, received one after the other.
fn received<'a>(list: &[(Status, &'a str)]) -> Vec<Event<'a>> {
    list.iter()
        .zip(1..)
        .map(|(&(status, payout), at)| Event {
            status,
            payout,
            at,
            timed: false,
            received: at,
            digest: at.unsigned_abs(),
        })
        .collect()
}

/// The same with times from the network.
fn timed<'a>(list: &[(Status, &'a str, i64)]) -> Vec<Event<'a>> {
    list.iter()
        .zip(1..)
        .map(|(&(status, payout, at), received)| Event {
            status,
            payout,
            at,
            timed: true,
            received,
            digest: received.unsigned_abs(),
        })
        .collect()
}

fn outcome<'a>(events: &[Event<'a>]) -> (Option<Status>, Option<&'a str>, Vec<bool>) {
    let state = fold(events, DEFAULT_TRANSITIONS);
    (state.status, state.payout_index.map(|index| events[index].payout), state.applied)
}

#[test]
fn nothing_is_no_state() {
    assert_eq!(outcome(&[]), (None, None, vec![]));
}

#[test]
fn every_status_may_come_first() {
    for status in [Pending, Approved, Rejected, Reversed] {
        let payout = status.pays().then_some("5");
        assert_eq!(outcome(&received(&[(status, "5")])), (Some(status), payout, vec![true]));
    }
}

#[test]
fn the_whole_life_of_a_conversion() {
    let events = received(&[(Pending, "10"), (Approved, "12.50"), (Reversed, "12.50"), (Approved, "11")]);
    let states = [(Pending, Some("10")), (Approved, Some("12.50")), (Reversed, None), (Approved, Some("11"))];
    for (count, (status, payout)) in (1..).zip(states) {
        assert_eq!(outcome(&events[..count]), (Some(status), payout, vec![true; count]));
    }
}

#[test]
fn moves_are_those_of_the_table() {
    let all = [Pending, Approved, Rejected, Reversed];
    for from in all.into_iter().filter(|&from| from != Reversed) {
        for to in all {
            let legal = from == to || DEFAULT_TRANSITIONS.contains(&(from, to));
            let state = fold(&received(&[(from, "1"), (to, "2")]), DEFAULT_TRANSITIONS);
            assert_eq!(state.applied, [true, legal], "{from} to {to}");
            assert_eq!(state.status, Some(if legal { to } else { from }));
        }
    }
    assert_eq!(fold(&received(&[(Pending, "1"), (Approved, "1")]), &[]).status, Some(Pending));
}

#[test]
fn the_same_status_changes_the_payout() {
    let events = received(&[(Approved, "10"), (Approved, "8")]);
    assert_eq!(outcome(&events), (Some(Approved), Some("8"), vec![true, true]));
}

#[test]
fn a_message_without_payout_keeps_the_one_in_force() {
    let events = received(&[(Pending, "10"), (Approved, "")]);
    assert_eq!(outcome(&events), (Some(Approved), Some("10"), vec![true, true]));
    assert_eq!(outcome(&received(&[(Approved, "")])), (Some(Approved), None, vec![true]));
}

#[test]
fn a_reversal_that_comes_first_waits_for_its_approval() {
    let events = received(&[(Reversed, "10"), (Pending, "10"), (Approved, "10"), (Approved, "9")]);
    assert_eq!(outcome(&events[..2]), (Some(Reversed), None, vec![true; 2]));
    assert_eq!(outcome(&events[..3]), (Some(Reversed), None, vec![true; 3]));
    assert_eq!(outcome(&events), (Some(Approved), Some("9"), vec![true; 4]));
    let events = received(&[(Reversed, "10"), (Rejected, "")]);
    assert_eq!(outcome(&events), (Some(Reversed), None, vec![true, false]));
}

#[test]
fn the_network_s_own_times_overrule_the_tombstone() {
    let later = timed(&[(Reversed, "10", 100), (Approved, "9", 200)]);
    assert_eq!(outcome(&later).0, Some(Approved));
    let overtaken = timed(&[(Reversed, "10", 200), (Approved, "10", 100)]);
    assert_eq!(outcome(&overtaken), (Some(Reversed), None, vec![true, true]));
    let same_time = timed(&[(Reversed, "10", 100), (Approved, "10", 100)]);
    assert_eq!(outcome(&same_time).0, Some(Reversed));
}

#[test]
fn an_old_event_arriving_late_moves_nothing() {
    let events = timed(&[(Approved, "10", 200), (Reversed, "", 300), (Pending, "7", 100), (Approved, "8", 150)]);
    assert_eq!(outcome(&events).0, Some(Reversed));
    assert_eq!(outcome(&events).1, None);
}

#[test]
fn a_replayed_approval_does_not_undo_a_reversal() {
    let mut events = received(&[(Approved, "10"), (Reversed, "10"), (Approved, "10")]);
    events[2].digest = events[0].digest;
    assert_eq!(outcome(&events), (Some(Reversed), None, vec![true, true, false]));
}

#[test]
fn names_are_read_back() {
    for status in [Pending, Approved, Rejected, Reversed] {
        assert_eq!(status.as_str().parse(), Ok(status));
    }
    assert_eq!("Approved".parse::<Status>(), Err(UnknownStatus));
}

fn statuses() -> impl Strategy<Value = Vec<(Status, &'static str)>> {
    let status = prop::sample::select(vec![Pending, Approved, Rejected, Reversed]);
    let payout = prop::sample::select(vec!["", "1", "2.50", "3"]);
    prop::collection::vec((status, payout), 0..9)
}

/// Events with distinct times of the network, and an order in which they arrive.
fn arrivals() -> impl Strategy<Value = (Vec<(Status, &'static str, i64)>, Vec<usize>)> {
    statuses().prop_flat_map(|list| {
        let events: Vec<_> =
            list.into_iter().zip(1..).map(|((status, payout), at)| (status, payout, at * 1_000)).collect();
        let order: Vec<usize> = (0..events.len()).collect();
        (Just(events), Just(order).prop_shuffle())
    })
}

fn arrive<'a>(list: &[(Status, &'a str, i64)], order: &[usize]) -> Vec<Event<'a>> {
    order
        .iter()
        .zip(1..)
        .map(|(&index, received)| {
            let (status, payout, at) = list[index];
            Event { status, payout, at, timed: true, received, digest: at.unsigned_abs() }
        })
        .collect()
}

#[test]
fn all_orders_of_four_events_with_times_give_one_state() {
    let list = [(Pending, "10", 100), (Approved, "10", 200), (Approved, "12.50", 300), (Reversed, "12.50", 400)];
    for count in 1..=list.len() {
        let in_order: Vec<usize> = (0..count).collect();
        let expected = outcome(&arrive(&list[..count], &in_order));
        let mut orders = 0;
        for code in 0..count.pow(u32::try_from(count).unwrap()) {
            let order: Vec<usize> =
                (0..count).map(|place| code / count.pow(u32::try_from(place).unwrap()) % count).collect();
            if !in_order.iter().all(|index| order.contains(index)) {
                continue;
            }
            orders += 1;
            let got = outcome(&arrive(&list[..count], &order));
            assert_eq!((got.0, got.1), (expected.0, expected.1), "{order:?}");
        }
        assert_eq!(orders, (1..=count).product::<usize>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn order_of_arrival_does_not_matter((list, order) in arrivals()) {
        let in_order: Vec<usize> = (0..list.len()).collect();
        let expected = outcome(&arrive(&list, &in_order));
        let events = arrive(&list, &order);
        let shuffled = outcome(&events);
        prop_assert_eq!(shuffled.0, expected.0);
        prop_assert_eq!(shuffled.1, expected.1);
        for (position, &index) in order.iter().enumerate() {
            prop_assert_eq!(shuffled.2[position], expected.2[index]);
        }
    }

    #[test]
    fn the_list_s_own_order_does_not_matter((list, order) in arrivals(), has_times in any::<bool>()) {
        let events: Vec<Event> = arrive(&list, &order).into_iter().map(|event| {
            if has_times { event } else { Event { at: event.received, timed: false, ..event } }
        }).collect();
        let backwards: Vec<Event> = events.iter().rev().copied().collect();
        prop_assert_eq!(outcome(&events).0, outcome(&backwards).0);
        prop_assert_eq!(outcome(&events).1, outcome(&backwards).1);
    }

    #[test]
    fn exact_repeats_change_nothing(
        (list, order) in arrivals(),
        has_times in any::<bool>(),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), 1_i64..50), 0..6),
    ) {
        let mut events: Vec<Event> = arrive(&list, &order).into_iter().map(|event| {
            if has_times { event } else { Event { at: event.received, timed: false, ..event } }
        }).collect();
        let expected = outcome(&events);
        let count = events.len();
        if count > 0 {
            for (index, delay) in repeats {
                let first = events[index.index(count)];
                let received = first.received + delay;
                events.push(Event { received, at: if has_times { first.at } else { received }, ..first });
            }
        }
        let repeated = outcome(&events);
        prop_assert_eq!(repeated.0, expected.0);
        prop_assert_eq!(repeated.1, expected.1);
        prop_assert_eq!(&repeated.2[..count], &expected.2[..]);
        prop_assert!(repeated.2[count..].iter().all(|applied| !applied));
    }

    #[test]
    fn a_payout_counts_exactly_while_it_may(list in statuses()) {
        let events = received(&list);
        let state = fold(&events, DEFAULT_TRANSITIONS);
        if let Some(index) = state.payout_index {
            prop_assert!(state.status.is_some_and(Status::pays));
            prop_assert!(state.applied[index] && events[index].status.pays());
        }
        prop_assert_eq!(state.status.is_none(), list.is_empty());
        prop_assert!(list.is_empty() || state.applied[0]);
    }
}
