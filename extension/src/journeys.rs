//! Models over whole paths in SQL: `sql/functions/attribution/path_models.sql` declares these functions.

use pgrx::iter::TableIterator;
use pgrx::prelude::*;
use postback_core::journey::{self, Journey};
use postback_core::shapley::Worth;
use postback_core::{markov, shapley};

/// A channel, the conversions that touched it, its weight and its share.
type Row = (Option<i64>, i64, f64, i64);

#[pg_extern(sql = false)]
fn markov_shares(
    channels: Array<i64>,
    lengths: Vec<i32>,
    converted: Vec<i64>,
    lost: Vec<i64>,
    chain_order: i32,
) -> TableIterator<
    'static,
    (name!(channel_id, Option<i64>), name!(conversions, i64), name!(weight, f64), name!(share, i64)),
> {
    let (names, journeys) = read_journeys(&channels, &lengths, &converted, &lost);
    let order = usize::try_from(chain_order).unwrap_or(1).max(1);
    let effects = markov::removal_effects(&journeys, names.len(), order, pause);
    TableIterator::new(rows(names, &journeys, effects))
}

#[pg_extern(sql = false)]
fn shapley_shares(
    channels: Array<i64>,
    lengths: Vec<i32>,
    converted: Vec<i64>,
    lost: Vec<i64>,
    worth: &str,
    permutations: i32,
    seed: i64,
) -> TableIterator<
    'static,
    (name!(channel_id, Option<i64>), name!(conversions, i64), name!(weight, f64), name!(share, i64)),
> {
    let (names, journeys) = read_journeys(&channels, &lengths, &converted, &lost);
    let worth = if worth == "rate" { Worth::Rate } else { Worth::Conversions };
    let permutations = u32::try_from(permutations).unwrap_or(1);
    let values = shapley::values(&journeys, names.len(), worth, permutations, seed.cast_unsigned(), pause);
    TableIterator::new(rows(names, &journeys, values))
}

/// Lets a query be cancelled.
fn pause() {
    check_for_interrupts!();
}

/// The channels in ascending order, none last, and the journeys through their places in it.
fn read_journeys(
    channels: &Array<i64>,
    lengths: &[i32],
    converted: &[i64],
    lost: &[i64],
) -> (Vec<Option<i64>>, Vec<Journey>) {
    let steps: Vec<Option<i64>> = channels.iter().collect();
    let in_order = |channel: &Option<i64>| (channel.is_none(), *channel);
    let mut names = steps.clone();
    names.sort_unstable_by_key(in_order);
    names.dedup();
    let mut places = steps.iter().filter_map(|step| names.binary_search_by_key(&in_order(step), in_order).ok());
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let journeys = lengths
        .iter()
        .zip(converted)
        .zip(lost)
        .map(|((&length, &converted), &lost)| Journey {
            channels: places.by_ref().take(usize::try_from(length).unwrap_or_default()).collect(),
            converted: count(converted),
            lost: count(lost),
        })
        .collect();
    (names, journeys)
}

fn rows(names: Vec<Option<i64>>, journeys: &[Journey], weights: Vec<f64>) -> Vec<Row> {
    let mut conversions = vec![0_i64; names.len()];
    for journey in journeys {
        for channel in journey.touched() {
            conversions[channel] += journey.converted.cast_signed();
        }
    }
    let shares = journey::shares(&weights);
    names
        .into_iter()
        .zip(conversions)
        .zip(weights)
        .zip(shares)
        .map(|(((name, conversions), weight), share)| (name, conversions, weight, share))
        .collect()
}
