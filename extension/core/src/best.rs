//! Which of several uncertain numbers is the highest: what `next_offer()` turns into weights.

use std::f64::consts::PI;

/// Points per standard deviation at which a belief is looked at, and how many deviations to either side.
const POINTS: i32 = 50;
const SIDE: i32 = 6;

/// What is known of a number: that it is normally distributed.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    pub mean: f64,
    /// The standard deviation, above 0.
    pub deviation: f64,
}

/// The probability of each to be the highest: the integral of its density times the product of the others' distribution functions.
///
/// `pause` is called now and then, so that a long count can be broken off.
pub fn chances(beliefs: &[Belief], mut pause: impl FnMut()) -> Vec<f64> {
    let mut chances = Vec::with_capacity(beliefs.len());
    for (place, own) in beliefs.iter().enumerate() {
        let mut chance = 0.0;
        for point in -POINTS * SIDE..=POINTS * SIDE {
            pause();
            let z = f64::from(point) / f64::from(POINTS);
            let value = own.mean + z * own.deviation;
            // In logarithms: a product of hundreds of small numbers would be 0 too soon.
            let others_are_lower: f64 = beliefs
                .iter()
                .enumerate()
                .filter(|&(other, _)| other != place)
                .map(|(_, other)| normal_cdf((value - other.mean) / other.deviation).ln())
                .sum();
            chance += density(z) / f64::from(POINTS) * others_are_lower.exp();
        }
        chances.push(chance);
    }
    chances
}

fn density(z: f64) -> f64 {
    (-z * z / 2.0).exp() / (2.0 * PI).sqrt()
}

/// The share of a standard normal distribution below `z`: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17, right to 7.5e-8.
pub fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_53];
    let tail = density(z) * t * polynomial.into_iter().reduce(|sum, factor| sum * t + factor).unwrap_or_default();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(beliefs: &[(f64, f64)]) -> Vec<f64> {
        let beliefs: Vec<_> = beliefs.iter().map(|&(mean, deviation)| Belief { mean, deviation }).collect();
        chances(&beliefs, || ())
    }

    #[test]
    fn the_distribution_function_is_that_of_the_tables() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.96, 0.024_997_895), (3.0, 0.998_650_102)] {
            assert!((normal_cdf(z) - expected).abs() < 7.5e-8, "{z}");
        }
        assert_eq!((normal_cdf(-40.0), normal_cdf(40.0)), (0.0, 1.0));
    }

    #[test]
    fn of_two_the_better_one_leads_by_the_distance_of_their_means() {
        // The difference of the two is Normal(2, 1).
        let found = of(&[(10.0, 0.6), (8.0, 0.8)]);
        assert!((found[0] - normal_cdf(2.0)).abs() < 1e-6, "{found:?}");
        assert_eq!(of(&[(7.0, 1.0)]).len(), 1);
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn a_clear_loser_among_many_has_none_and_breaks_nothing() {
        let mut beliefs = vec![(5.0, 0.001); 100];
        beliefs.push((0.0, 0.001));
        let found = of(&beliefs);
        assert_eq!(found[100], 0.0);
        assert!(found[..100].iter().all(|chance| (chance - 0.01).abs() < 1e-5), "{found:?}");
    }

    proptest! {
        #[test]
        fn somebody_is_the_best(beliefs in prop::collection::vec((-5.0..5.0, 0.2..3.0), 1..8)) {
            let found = of(&beliefs);
            prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{:?}", found);
            prop_assert!(found.iter().all(|chance| (0.0..=1.000_001).contains(chance)));
        }
    }
}
