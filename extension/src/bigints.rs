//! Arrays of bigint, and of timestamptz, which is one, as attribution reads them for each conversion: without the lookups in the catalog
//! that an array of any type needs.

use pgrx::prelude::*;
use pgrx::{AnyArray, FromDatum};
use std::ffi::c_int;
use std::mem::size_of;
use std::slice;

/// The elements of an array of eight-byte values; `None` for NULL. The array must have such elements: the SQL declaration says so.
pub fn elements(array: &AnyArray) -> Vec<Option<i64>> {
    // SAFETY: the datum is an array that Postgres passed. Detoasted, it is a header, its dimensions and their lower bounds, a bitmap if
    // it has NULLs, and from the data offset on, aligned, the elements that are not NULL.
    unsafe {
        let start = pg_sys::pg_detoast_datum(array.datum().cast_mut_ptr());
        let header = start.cast::<pg_sys::ArrayType>();
        let dimensions = usize::try_from((*header).ndim).unwrap_or(0);
        if dimensions == 0 {
            return Vec::new();
        }
        let sizes = start.byte_add(size_of::<pg_sys::ArrayType>()).cast::<c_int>();
        let length =
            slice::from_raw_parts(sizes, dimensions).iter().map(|&size| usize::try_from(size).unwrap_or(0)).product();
        let before_data = size_of::<pg_sys::ArrayType>() + 2 * dimensions * size_of::<c_int>();
        let Some(data_offset) = usize::try_from((*header).dataoffset).ok().filter(|&offset| offset > 0) else {
            let data = start.byte_add(before_data.next_multiple_of(8)).cast::<i64>();
            return slice::from_raw_parts(data, length).iter().copied().map(Some).collect();
        };
        let bitmap = start.byte_add(before_data).cast::<u8>();
        let mut next = start.byte_add(data_offset).cast::<i64>();
        (0..length)
            .map(|place| {
                let is_there = *bitmap.add(place / 8) >> (place % 8) & 1 == 1;
                is_there.then(|| {
                    let value = *next;
                    next = next.add(1);
                    value
                })
            })
            .collect()
    }
}

/// A bigint[] of these values.
pub fn array(values: &[i64]) -> Option<AnyArray> {
    let mut data: Vec<pg_sys::Datum> = values.iter().map(|&value| value.into()).collect();
    let length = c_int::try_from(data.len()).ok()?;
    // SAFETY: the elements are `length` bigints, passed by value, and Postgres copies them.
    unsafe {
        let array =
            pg_sys::construct_array(data.as_mut_ptr(), length, pg_sys::INT8OID, 8, true, b'd' as std::ffi::c_char);
        AnyArray::from_polymorphic_datum(pg_sys::Datum::from(array), false, pg_sys::INT8ARRAYOID)
    }
}
