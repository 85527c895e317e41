//! Arrays of bigint, and of timestamptz, which is one, as attribution reads them for each conversion: in place, byte by byte.

use pgrx::pg_sys;
use std::ffi::c_int;
use std::mem::size_of;

const HEADER: usize = size_of::<pg_sys::ArrayType>();
/// The bytes of a value begin behind its length.
const LENGTH: usize = size_of::<i32>();
const WIDTH: usize = size_of::<i64>();

/// An array of eight-byte values, by its bytes without their length. What is no such array is an empty one.
#[derive(Clone, Copy, Default)]
pub struct Bigints<'a> {
    length: usize,
    /// A bit for each element, 0 for NULL; none when no element is.
    bitmap: Option<&'a [u8]>,
    /// The elements that are not NULL.
    data: &'a [u8],
}

impl<'a> Bigints<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    /// A header of dimensions, offset of the data (0 without NULLs) and type, the sizes of the dimensions, their lower bounds, a bitmap if
    /// there are NULLs, and, aligned, the data.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let dimensions = usize::try_from(int(bytes, 0)?).ok()?;
        let offset = usize::try_from(int(bytes, 1)?).ok()?;
        if dimensions == 0 {
            return None;
        }
        let sizes = (0..dimensions).map(|number| usize::try_from(int(bytes, 3 + number)?).ok());
        let length = sizes.product::<Option<usize>>()?;
        let before_data = HEADER + 2 * dimensions * size_of::<c_int>();
        let (bitmap, start) = match offset {
            0 => (None, before_data.next_multiple_of(WIDTH)),
            _ => (Some(bytes.get(before_data - LENGTH..offset.checked_sub(LENGTH)?)?), offset),
        };
        Some(Bigints { length, bitmap, data: bytes.get(start - LENGTH..)? })
    }

    /// The elements; `None` for NULL.
    pub fn iter(self) -> impl Iterator<Item = Option<i64>> + 'a {
        let mut values = self.data.chunks_exact(WIDTH);
        (0..self.length).map(move |place| {
            let is_there =
                self.bitmap.is_none_or(|bitmap| bitmap.get(place / 8).is_some_and(|bits| bits >> (place % 8) & 1 == 1));
            if is_there { values.next()?.try_into().ok().map(i64::from_ne_bytes) } else { None }
        })
    }

    /// An element by its place, counted from 0; `None` for NULL and beyond the end.
    pub fn get(self, place: usize) -> Option<i64> {
        if self.bitmap.is_some() {
            return self.iter().nth(place).flatten();
        }
        let start = place.checked_mul(WIDTH)?;
        self.data.get(start..start.checked_add(WIDTH)?)?.try_into().ok().map(i64::from_ne_bytes)
    }
}

fn int(bytes: &[u8], number: usize) -> Option<c_int> {
    let start = number * size_of::<c_int>();
    bytes.get(start..start + size_of::<c_int>())?.try_into().ok().map(c_int::from_ne_bytes)
}

/// A bigint[] of these values.
pub fn array(values: &[i64]) -> Option<pg_sys::Datum> {
    let dimensions = if values.is_empty() { 0 } else { 1 };
    let before_data = HEADER + 2 * dimensions * size_of::<c_int>();
    let size = before_data + size_of_val(values);
    let header = pg_sys::ArrayType { vl_len_: 0, ndim: dimensions as c_int, dataoffset: 0, elemtype: pg_sys::INT8OID };
    // SAFETY: so much is allocated, in the memory of the row, and all of it is written.
    unsafe {
        let start: *mut u8 = pg_sys::palloc(size).cast();
        start.cast::<pg_sys::ArrayType>().write(header);
        pgrx::varlena::set_varsize_4b(start.cast(), c_int::try_from(size).ok()?);
        if dimensions > 0 {
            let bounds: *mut c_int = start.add(HEADER).cast();
            bounds.write(c_int::try_from(values.len()).ok()?);
            bounds.add(1).write(1);
            start.add(before_data).cast::<i64>().copy_from_nonoverlapping(values.as_ptr(), values.len());
        }
        Some(pg_sys::Datum::from(start))
    }
}
