//! Attribution by Shapley values: what a channel adds to the others, on average over all orders in which they could
//! have been added.
//!
//! Who took part counts, not in which order or how often. What a coalition of channels is worth is told by [`Worth`].

use crate::click_id::mix;
use crate::journey::Journey;

/// The most channels for which every coalition is looked at; with more, orders are drawn.
pub const MAX_EXACT_CHANNELS: usize = 20;

/// The characteristic function: what a coalition of channels is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The conversions whose every touch is of the coalition (Zhao, Mahboobi, Bagheri 2018: "Shapley value methods for
    /// attribution modeling in online advertising"). The value is then exact for any number of channels: each
    /// conversion in equal parts to the channels that it touched.
    Conversions,
    /// Of the journeys whose every touch is of the coalition, the fraction that converted. A channel whose journeys
    /// convert worse than the others' can have a value below 0.
    Rate,
}

/// The Shapley value of each channel; they add up to the worth of all channels together.
///
/// `permutations` orders are drawn, from `seed`, for [`Worth::Rate`] with more than [`MAX_EXACT_CHANNELS`]. `pause` is
/// called now and then, so that a long count can be broken off.
pub fn values(
    journeys: &[Journey],
    channels: usize,
    worth: Worth,
    permutations: u32,
    seed: u64,
    pause: impl FnMut(),
) -> Vec<f64> {
    match worth {
        Worth::Conversions => equal_parts(journeys, channels),
        Worth::Rate if channels <= MAX_EXACT_CHANNELS => over_coalitions(journeys, channels, pause),
        Worth::Rate => over_drawn_orders(journeys, channels, permutations, seed, pause),
    }
}

fn equal_parts(journeys: &[Journey], channels: usize) -> Vec<f64> {
    let mut values = vec![0.0; channels];
    for journey in journeys {
        let touched = journey.touched();
        for &channel in &touched {
            values[channel] += journey.converted as f64 / touched.len() as f64;
        }
    }
    values
}

/// Conversions and journeys of a coalition.
#[derive(Clone, Copy, Default)]
struct Tally {
    converted: u64,
    journeys: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.converted += other.converted;
        self.journeys += other.journeys;
    }

    fn rate(self) -> f64 {
        if self.journeys == 0 { 0.0 } else { self.converted as f64 / self.journeys as f64 }
    }
}

impl From<&Journey> for Tally {
    fn from(journey: &Journey) -> Self {
        Tally { converted: journey.converted, journeys: journey.converted + journey.lost }
    }
}

/// By the definition. A coalition is the bits of its channels.
fn over_coalitions(journeys: &[Journey], channels: usize, mut pause: impl FnMut()) -> Vec<f64> {
    let mut tallies = vec![Tally::default(); 1 << channels];
    for journey in journeys {
        let coalition = journey.channels.iter().fold(0, |bits, channel| bits | 1 << channel);
        tallies[coalition].add(journey.into());
    }
    // From the journeys of exactly these channels to those of no other ones: channel by channel, over all coalitions.
    for channel in 0..channels {
        pause();
        for coalition in (0..tallies.len()).filter(|coalition| coalition & (1 << channel) != 0) {
            let without = tallies[coalition ^ (1 << channel)];
            tallies[coalition].add(without);
        }
    }
    // The probability that a channel is added when exactly these are there: 1 / (n * (n - 1 over size)).
    let mut weights = vec![1.0 / channels as f64; channels];
    for size in 1..channels {
        weights[size] = weights[size - 1] * size as f64 / (channels - size) as f64;
    }
    (0..channels)
        .map(|channel| {
            pause();
            (0..tallies.len())
                .filter(|coalition| coalition & (1 << channel) == 0)
                .map(|coalition| {
                    let gain = tallies[coalition | 1 << channel].rate() - tallies[coalition].rate();
                    weights[coalition.count_ones() as usize] * gain
                })
                .sum()
        })
        .collect()
}

/// Castro, Gómez, Tejada 2009, with each order taken both ways, which makes the average calmer.
fn over_drawn_orders(
    journeys: &[Journey],
    channels: usize,
    permutations: u32,
    seed: u64,
    mut pause: impl FnMut(),
) -> Vec<f64> {
    let touched: Vec<(Vec<usize>, Tally)> =
        journeys.iter().map(|journey| (journey.touched(), journey.into())).collect();
    let mut order: Vec<usize> = (0..channels).collect();
    let mut random = (0_u64..).map(|draw| mix(mix(seed) ^ draw));
    let mut values = vec![0.0; channels];
    for number in 0..permutations {
        pause();
        if number % 2 == 0 {
            for place in (1..channels).rev() {
                let other = random.next().unwrap_or_default() % (place as u64 + 1);
                order.swap(place, other as usize);
            }
        } else {
            order.reverse();
        }
        let mut places = vec![0; channels];
        for (place, &channel) in order.iter().enumerate() {
            places[channel] = place;
        }
        // A journey counts from where the last of its channels comes in.
        let mut tallies = vec![Tally::default(); channels];
        for (touched, tally) in &touched {
            if let Some(place) = touched.iter().map(|&channel| places[channel]).max() {
                tallies[place].add(*tally);
            }
        }
        let mut coalition = Tally::default();
        for (&channel, tally) in order.iter().zip(&tallies) {
            let before = coalition.rate();
            coalition.add(*tally);
            values[channel] += coalition.rate() - before;
        }
    }
    values.iter().map(|value| value / f64::from(permutations.max(1))).collect()
}

#[cfg(test)]
mod tests;
