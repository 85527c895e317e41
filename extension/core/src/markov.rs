//! Attribution by a Markov chain: what share of the conversions would be lost without a channel.
//!
//! The chain is fitted to the journeys by counting. Its state is the last channels touched, as many as its order says;
//! it begins before the first and ends in a conversion or in nothing. To remove a channel is to end in nothing every
//! journey that comes to it (Anderl, Becker, von Wangenheim, Schumann 2016: "Mapping the customer journey").

use crate::journey::Journey;
use std::collections::HashMap;

/// Walkers still under way when the count ends, as a fraction of those who convert in the whole chain.
const UNDER_WAY: f64 = 1e-15;

/// The removal effect of each channel, 0 to 1: the fraction of the chain's conversions that come through it.
///
/// `pause` is called before each step of all walkers, so that a long count can be broken off.
pub fn removal_effects(journeys: &[Journey], channels: usize, order: usize, mut pause: impl FnMut()) -> Vec<f64> {
    let chain = Chain::fit(journeys, order);
    let whole = chain.conversions(None, &mut pause);
    (0..channels)
        .map(|channel| match whole {
            0.0 => 0.0,
            whole => (1.0 - chain.conversions(Some(channel), &mut pause) / whole).clamp(0.0, 1.0),
        })
        .collect()
}

/// A state of the chain: where its walkers go next.
#[derive(Default)]
struct State {
    /// The channel touched last; none at the start.
    channel: Option<usize>,
    /// Probability of a conversion as the next thing.
    converts: f64,
    /// Other states, and the probability of each as the next thing. What is left of 1 ends in nothing.
    moves: Vec<(usize, f64)>,
}

struct Chain {
    /// The first is the start.
    states: Vec<State>,
    conversion_rate: f64,
}

impl Chain {
    /// Counts what followed what. A state that follows itself is left out: staying neither converts nor touches
    /// another channel, and where one goes after it, one goes without it.
    fn fit(journeys: &[Journey], order: usize) -> Self {
        let mut numbers: HashMap<&[usize], usize> = HashMap::from([(&[][..], 0)]);
        let mut states = vec![State::default()];
        let mut seen = vec![0_u64];
        let mut moves: HashMap<(usize, usize), u64> = HashMap::new();
        let mut converted = vec![0_u64];
        for journey in journeys {
            let walkers = journey.converted + journey.lost;
            let mut here = 0;
            for end in 1..=journey.channels.len() {
                let last = &journey.channels[end.saturating_sub(order)..end];
                let next = *numbers.entry(last).or_insert(states.len());
                if next == states.len() {
                    states.push(State { channel: last.last().copied(), ..State::default() });
                    seen.push(0);
                    converted.push(0);
                }
                if next != here {
                    seen[here] += walkers;
                    *moves.entry((here, next)).or_default() += walkers;
                }
                here = next;
            }
            seen[here] += walkers;
            converted[here] += journey.converted;
        }
        let mut moves: Vec<((usize, usize), u64)> = moves.into_iter().collect();
        moves.sort_unstable();
        for ((from, to), count) in moves.into_iter().filter(|(_, count)| *count > 0) {
            states[from].moves.push((to, count as f64 / seen[from] as f64));
        }
        for ((state, converted), seen) in states.iter_mut().zip(&converted).zip(&seen) {
            state.converts = if *seen == 0 { 0.0 } else { *converted as f64 / *seen as f64 };
        }
        let conversion_rate = converted.iter().sum::<u64>() as f64 / seen[0].max(1) as f64;
        Chain { states, conversion_rate }
    }

    /// The fraction of walkers from the start who convert when those who come to one channel are lost.
    fn conversions(&self, removed: Option<usize>, pause: &mut impl FnMut()) -> f64 {
        let mut converted = 0.0;
        let mut here = vec![0.0; self.states.len()];
        here[0] = 1.0;
        let mut under_way = 1.0;
        while under_way > UNDER_WAY * self.conversion_rate {
            pause();
            let mut there = vec![0.0; self.states.len()];
            under_way = 0.0;
            for (state, walkers) in self.states.iter().zip(&here).filter(|(_, walkers)| **walkers > 0.0) {
                converted += walkers * state.converts;
                for &(next, probability) in &state.moves {
                    if removed.is_none() || self.states[next].channel != removed {
                        there[next] += walkers * probability;
                        under_way += walkers * probability;
                    }
                }
            }
            here = there;
        }
        converted
    }
}

#[cfg(test)]
mod tests;
