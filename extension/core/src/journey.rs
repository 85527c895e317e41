//! Journeys through channels, what the models over whole paths read, and shares that add up to exactly one.
//!
//! Not for: what a channel, a click or a conversion is; `sql/` decides that.

use crate::credit::{WHOLE, apportion};

/// How often people took the same way through channels.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The channels in order, as numbers from 0.
    pub channels: Vec<usize>,
    /// How many of these journeys ended in a conversion.
    pub converted: u64,
    /// How many ended in nothing.
    pub lost: u64,
}

impl Journey {
    /// The channels that were touched, each once, in ascending order.
    pub fn touched(&self) -> Vec<usize> {
        let mut touched = self.channels.clone();
        touched.sort_unstable();
        touched.dedup();
        touched
    }
}

/// What the largest weight becomes: weights are integers from there on, so that nothing is lost.
const LARGEST: f64 = 1e18;

/// Divides [`WHOLE`] in proportion to weights, by largest remainder. A weight below 0 counts as 0; when all do, nobody gets
/// anything.
pub fn shares(weights: &[f64]) -> Vec<i64> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return vec![0; weights.len()];
    }
    let weights: Vec<u128> =
        weights.iter().map(|weight| (weight.max(0.0) / largest * LARGEST).round() as u128).collect();
    apportion(WHOLE.unsigned_abs().into(), &weights).into_iter().map(|share| share as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_third_is_rounded_for_the_first() {
        assert_eq!(shares(&[1.0, 1.0, 1.0]), [333_333_333_334, 333_333_333_333, 333_333_333_333]);
        assert_eq!(shares(&[2.0, 1.0, 0.0]), [666_666_666_667, 333_333_333_333, 0]);
    }

    #[test]
    fn who_does_harm_gets_nothing() {
        assert_eq!(shares(&[-1.0, 3.0]), [0, WHOLE]);
        assert_eq!(shares(&[-1.0, 0.0]), [0, 0]);
        assert_eq!(shares(&[]), [0; 0]);
    }

    #[test]
    fn a_channel_that_is_touched_twice_is_touched() {
        let journey = Journey { channels: vec![2, 0, 2], converted: 1, lost: 0 };
        assert_eq!(journey.touched(), [0, 2]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_near(weights in prop::collection::vec(prop_oneof![0.0..1.0_f64, 0.0..1e-9_f64, 0.0..1e9_f64], 1..200)) {
            let sum: f64 = weights.iter().sum();
            prop_assume!(sum > 0.0);
            let shares = shares(&weights);
            prop_assert_eq!(shares.iter().sum::<i64>(), WHOLE);
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!((*share as f64 - weight / sum * WHOLE as f64).abs() < 1.5);
            }
        }
    }
}
