//! Numerics as integers of so many decimals, without a text between. Reads what Postgres stores, which pg_upgrade keeps as it is.

use pgrx::pg_sys;
use pgrx::varlena::set_varsize_4b;
use pgrx::{AnyNumeric, IntoDatum};
use postback_core::credit;

const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_WEIGHT_SIGN: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003F;

/// An amount that is not negative, by the bytes of its numeric without their length: an integer, and how many decimals it has, without
/// zeros at their end. `None` for what is negative, not a number or too large.
///
/// One header of 16 bits with sign and weight, or a long one of 32; then digits of base 10000, the first of which stands for so many times
/// 10000 to the power of the weight.
pub fn units(bytes: &[u8]) -> Option<(u128, u32)> {
    let (header, rest) = half(bytes)?;
    let (is_negative, weight, mut digits) = if header & SPECIAL == SPECIAL {
        return None;
    } else if header & SHORT != 0 {
        let beyond = if header & SHORT_WEIGHT_SIGN == 0 { 0 } else { !SHORT_WEIGHT };
        (header & SHORT_NEGATIVE != 0, (header & SHORT_WEIGHT | beyond).cast_signed(), rest)
    } else {
        let (weight, rest) = half(rest)?;
        (header & NEGATIVE != 0, weight.cast_signed(), rest)
    };
    if is_negative {
        return None;
    }
    let mut decimals = -4 * (i32::from(weight) + 1);
    let mut number = 0_u128;
    while let Some((digit, rest)) = half(digits) {
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
        decimals += 4;
        digits = rest;
    }
    if decimals <= 0 {
        return Some((number.checked_mul(10_u128.checked_pow(decimals.unsigned_abs())?)?, 0));
    }
    Some(match u64::try_from(number) {
        Ok(small) => {
            let (small, decimals) = without_zeros(small, decimals, |number| (number / 10, number % 10));
            (small.into(), decimals)
        }
        Err(_) => without_zeros(number, decimals, |number| (number / 10, (number % 10) as u64)),
    })
}

fn without_zeros<N: Copy>(mut number: N, decimals: i32, by_ten: impl Fn(N) -> (N, u64)) -> (N, u32) {
    let mut decimals = decimals.unsigned_abs();
    while decimals > 0 {
        let (tenth, last) = by_ten(number);
        if last != 0 {
            break;
        }
        (number, decimals) = (tenth, decimals - 1);
    }
    (number, decimals)
}

fn half(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u16::from_ne_bytes(*first), rest))
}

/// The numeric, in the memory of the row. What is too large for the way without a text goes by text.
pub fn numeric(units: u128, scale: u32) -> Option<pg_sys::Datum> {
    match u64::try_from(units) {
        Ok(units) if scale <= 16 && units < u64::MAX / 1000 => Some(short_numeric(units, scale)),
        _ => AnyNumeric::try_from(credit::decimal(units, scale)?.as_str()).ok()?.into_datum(),
    }
}

/// A header of 16 bits and up to five digits, all of them in the order of the machine, without zeros at either end.
fn short_numeric(units: u64, scale: u32) -> pg_sys::Datum {
    let decimals = scale.next_multiple_of(4);
    let mut rest = units * 10_u64.pow(decimals - scale);
    let mut weight = -i32::from((decimals / 4) as u16);
    let mut halves = [0_u16; 6];
    let mut first = halves.len();
    let mut last = first;
    while rest > 0 {
        let digit = (rest % 10_000) as u16;
        rest /= 10_000;
        weight += 1;
        if digit == 0 && first == last {
            continue;
        }
        first -= 1;
        halves[first] = digit;
    }
    weight = if first == last { 0 } else { weight - 1 };
    first -= 1;
    halves[first] = SHORT | (scale as u16) << 7 | weight.cast_unsigned() as u16 & (SHORT_WEIGHT_SIGN | SHORT_WEIGHT);
    last = halves.len();
    let size = size_of::<i32>() + size_of_val(&halves[first..last]);
    // SAFETY: so much is allocated, and all of it is written.
    unsafe {
        let start: *mut pg_sys::varlena = pg_sys::palloc(size).cast();
        set_varsize_4b(start, size as i32);
        start.byte_add(size_of::<i32>()).cast::<u16>().copy_from_nonoverlapping(halves[first..].as_ptr(), last - first);
        pg_sys::Datum::from(start)
    }
}
