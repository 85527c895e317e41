//! Ten million random conversions: in every model the credits sum to one and the revenue to the payout, to the last unit.

use postback_core::credit::{Model, Settings, WHOLE, credits, revenue};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const MODELS: [Model; 5] = [Model::FirstClick, Model::LastClick, Model::Linear, Model::TimeDecay, Model::PositionBased];
const CONVERSIONS: usize = 10_000_000;
/// Currencies with the decimals of their minor unit.
const CURRENCIES: [(&str, u32); 3] = [("USD", 2), ("JPY", 0), ("KWD", 3)];

#[test]
fn ten_million_conversions_are_divided_without_rest() {
    let mut random = SmallRng::seed_from_u64(20260301);
    let mut touches = 0_u64;
    for number in 0..CONVERSIONS {
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
        let units: u64 = random.random_range(0..10_000_000);
        let payout = decimal(units, minor);
        let parts: u64 = (0..times.len())
            .map(|place| revenue(&payout, currency, &shares, place).expect("the payout is an amount"))
            .map(|part| part.replace('.', "").parse::<u64>().expect("a part is an amount"))
            .sum();
        assert_eq!(parts, units, "{payout} {currency} {shares:?}");
        touches += times.len() as u64;
    }
    eprintln!("{CONVERSIONS} conversions, {touches} touches: every sum exact");
}

fn decimal(units: u64, scale: u32) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let one = 10_u64.pow(scale);
    format!("{}.{:0width$}", units / one, units % one, width = scale as usize)
}
