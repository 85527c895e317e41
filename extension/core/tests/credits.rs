//! Ten million random conversions: in every model the credits sum to one and the revenue to the payout, to the last unit.

use postback_core::credit::{Model, Settings, WHOLE, credits, minor_units, parts};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::thread;

const MODELS: [Model; 5] = [Model::FirstClick, Model::LastClick, Model::Linear, Model::TimeDecay, Model::PositionBased];
const CONVERSIONS: usize = 10_000_000;
const THREADS: usize = 4;
/// Currencies with the decimals of their minor unit.
const CURRENCIES: [(&str, u32); 3] = [("USD", 2), ("JPY", 0), ("KWD", 3)];

#[test]
fn ten_million_conversions_are_divided_without_rest() {
    let touches: usize = thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || divide(seed as u64))).collect();
        parts.into_iter().map(|part| part.join().expect("every sum is exact")).sum()
    });
    eprintln!("{CONVERSIONS} conversions, {touches} touches: every sum exact");
}

/// Divides its part of the conversions; returns how many touches they had.
fn divide(seed: u64) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut touches = 0;
    for number in 0..CONVERSIONS / THREADS {
        let mut times: Vec<i64> =
            (0..random.random_range(1..=8)).map(|_| random.random_range(0..7_776_000_000_000)).collect();
        times.sort_unstable();
        let settings = Settings {
            half_life: random.random_range(1..2_592_000_000_000),
            weights: [random.random_range(0.0..1.0), random.random_range(0.0..1.0), random.random_range(0.01..1.0)],
        };
        let shares = credits(MODELS[number % MODELS.len()], &times, &settings);
        assert_eq!(shares.len(), times.len(), "a touch is missing: {times:?}");
        assert!(shares.iter().all(|credit| (0..=WHOLE).contains(credit)), "{shares:?}");
        assert_eq!(shares.iter().sum::<i64>(), WHOLE, "{times:?} {settings:?}");

        let (currency, minor) = CURRENCIES[number % CURRENCIES.len()];
        let payout: u128 = random.random_range(0..10_000_000);
        let (parts, scale) = parts(payout, minor, minor_units(currency), &shares).unwrap_or_default();
        assert_eq!((parts.len(), scale), (times.len(), minor));
        assert_eq!(parts.iter().sum::<u128>(), payout, "{payout} {currency} {shares:?}");
        touches += times.len();
    }
    touches
}
