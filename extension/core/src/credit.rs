//! Who gets which part of a conversion: credit over the touches of its path, and its payout by that credit.
//!
//! Both are divided by largest remainder: everybody gets the whole units of his part, and the units left over go one each to the
//! largest remainders, among equal ones to the earlier touch. So the parts are exact integers that sum to the whole, and nothing
//! depends on the order of arrival. Weights are integers, too: only the halving of time decay is a float, before it is rounded.
//!
//! Not for: which clicks are touches. That is decided in `sql/`, but for window and scope, which are arguments of a report.

use crate::money;
use std::str::FromStr;

/// One whole credit: credits are counted in units of 10^-12, so fine that equal touches earn the same of any payout.
pub const WHOLE: i64 = 1_000_000_000_000;

/// The finest weight that counts, against 1.
const WEIGHT_SCALE: f64 = 1e12;

/// How credit is divided over the touches of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// All to the first touch.
    FirstClick,
    /// All to the last touch.
    LastClick,
    /// The same to each.
    Linear,
    /// Half as much for each half-life before the last touch.
    TimeDecay,
    /// Weights for the first, for all between, and for the last.
    PositionBased,
}

/// A model that is none of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownModel;

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        match text {
            "first_click" => Ok(Model::FirstClick),
            "last_click" => Ok(Model::LastClick),
            "linear" => Ok(Model::Linear),
            "time_decay" => Ok(Model::TimeDecay),
            "position_based" => Ok(Model::PositionBased),
            _ => Err(UnknownModel),
        }
    }
}

/// What a report may ask for, beside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Of [`Model::TimeDecay`], in microseconds; above 0.
    pub half_life: i64,
    /// Of [`Model::PositionBased`]: first, all between together, last; at least 0, not all 0.
    pub weights: [f64; 3],
}

/// Credits in units of 1/[`WHOLE`] of the touches at these times (microseconds, in order of the path). They sum to [`WHOLE`], unless there is no touch.
pub fn credits(model: Model, times: &[i64], settings: &Settings) -> Vec<i64> {
    let all_to = |place: usize| (0..times.len()).map(|other| if other == place { WHOLE } else { 0 }).collect();
    let weights: Vec<u128> = match (model, times) {
        (_, []) => return Vec::new(),
        (_, [_]) => return vec![WHOLE],
        (Model::FirstClick, _) => return all_to(0),
        (Model::LastClick, _) => return all_to(times.len() - 1),
        (Model::Linear, _) => return equally(times.len() as i64),
        (Model::TimeDecay, [.., last]) => times.iter().map(|time| decayed(last.abs_diff(*time), settings)).collect(),
        (Model::PositionBased, _) => by_position(times.len(), settings.weights),
    };
    apportion(WHOLE.unsigned_abs().into(), &weights).into_iter().map(|part| part as i64).collect()
}

/// The units left over go to the earlier touches.
fn equally(touches: i64) -> Vec<i64> {
    let (part, left_over) = (WHOLE / touches, WHOLE % touches);
    (0..touches).map(|place| part + i64::from(place < left_over)).collect()
}

fn decayed(age: u64, settings: &Settings) -> u128 {
    (WEIGHT_SCALE * (-(age as f64) / settings.half_life as f64).exp2()).round() as u128
}

/// The weight between first and last is shared there; without a touch between, first and last divide all in their proportion.
fn by_position(touches: usize, weights: [f64; 3]) -> Vec<u128> {
    let [first, between, last] = weights.map(|weight| (weight * WEIGHT_SCALE).round() as u128);
    // Times the number between, so that their shares are integers.
    let sharers = touches.saturating_sub(2).max(1) as u128;
    (0..touches)
        .map(|place| match place {
            0 => first * sharers,
            _ if place + 1 == touches => last * sharers,
            _ => between,
        })
        .collect()
}

/// Divides a total into integer parts by weight, by largest remainder. Weights that are all 0 count as equal ones.
/// The sum of the weights times the largest of them must fit, which 10^18 does; the total may be as large as it likes.
pub fn apportion(total: u128, weights: &[u128]) -> Vec<u128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return if weights.is_empty() { Vec::new() } else { apportion(total, &vec![1; weights.len()]) };
    }
    // Each weight in turn of every whole sum in the total, and its share of the rest: the product of both would be too large.
    let (rounds, rest) = (total / sum, total % sum);
    let mut parts: Vec<u128> = weights.iter().map(|weight| rounds * weight + rest * weight / sum).collect();
    let left_over = (total - parts.iter().sum::<u128>()) as usize;
    if left_over > 0 {
        add_one_to_the_largest(left_over, &mut parts, |place| rest * weights[place] % sum);
    }
    parts
}

/// An integer of so many decimals as text.
pub fn decimal(part: u128, scale: u32) -> Option<String> {
    let one = 10_u128.checked_pow(scale)?;
    let width = usize::try_from(scale).ok()?;
    Some(if scale == 0 { part.to_string() } else { format!("{}.{:0width$}", part / one, part % one) })
}

/// The parts of a payout that the touches have earned with these credits, as integers of that many decimals. The payout is such an
/// integer, too. The unit is the minor one of the currency, or the last decimal of the payout where that is finer; so the parts sum to the
/// payout, whatever it is. `None` when it is too large to count.
pub fn parts(payout: u128, scale: u32, minor_units: u32, credits: &[i64]) -> Option<(Vec<u128>, u32)> {
    let finest = scale.max(minor_units);
    let total = payout.checked_mul(10_u128.checked_pow(finest - scale)?)?;
    Some((apportion_credits(total, credits), finest))
}

/// As [`apportion`] does it, in half as many bits where these are enough: for less than 18 million units.
fn apportion_credits(total: u128, credits: &[i64]) -> Vec<u128> {
    match u64::try_from(total) {
        Ok(small) if small < u64::MAX / WHOLE.unsigned_abs() && credits.iter().sum::<i64>() == WHOLE => {
            let products = || credits.iter().map(|credit| small * credit.unsigned_abs());
            let mut parts: Vec<u128> = products().map(|product| (product / WHOLE.unsigned_abs()).into()).collect();
            let left_over = (total - parts.iter().sum::<u128>()) as usize;
            if left_over > 0 {
                let remainders: Vec<u64> = products().map(|product| product % WHOLE.unsigned_abs()).collect();
                add_one_to_the_largest(left_over, &mut parts, |place| remainders[place]);
            }
            parts
        }
        _ => apportion(total, &credits.iter().map(|credit| credit.unsigned_abs().into()).collect::<Vec<u128>>()),
    }
}

/// What is left over goes to the largest remainders, among equal ones to the earlier.
fn add_one_to_the_largest<R: Ord>(left_over: usize, parts: &mut [u128], remainder: impl Fn(usize) -> R) {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&place| (std::cmp::Reverse(remainder(place)), place));
    for place in order.into_iter().take(left_over) {
        parts[place] += 1;
    }
}

/// Two decimals for a code that ISO 4217 does not have.
pub fn minor_units(currency: &str) -> u32 {
    money::currency(currency).map_or(2, |currency| currency.minor_units().into())
}

#[cfg(test)]
mod tests;
