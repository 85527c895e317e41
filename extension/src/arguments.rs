//! The arguments of a function that is called for every row of a report, read where they lie: without the copies and the lookups in the
//! catalog that arguments of any type need. The types are those of the SQL declaration.

use pgrx::pg_sys;
use pgrx::varlena::{varatt_is_1b, varatt_is_1b_e, varatt_is_4b_c, varlena_to_byte_slice};
use std::marker::PhantomData;

/// Makes a function of [`Arguments`] one that Postgres can call.
macro_rules! called_by_postgres {
    ($($function:ident as $symbol:ident, $record:ident;)*) => { $(
        #[pgrx::pg_guard]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $symbol(call: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: Postgres passes the call.
            let mut arguments = unsafe { $crate::arguments::Arguments::of(call) };
            $function(&arguments).unwrap_or_else(|| arguments.null())
        }

        #[unsafe(no_mangle)]
        extern "C" fn $record() -> &'static pgrx::pg_sys::Pg_finfo_record {
            &pgrx::pg_sys::Pg_finfo_record { api_version: 1 }
        }
    )* };
}
pub(crate) use called_by_postgres;

/// What a function is called with.
pub struct Arguments<'call> {
    call: pg_sys::FunctionCallInfo,
    lifetime: PhantomData<&'call [u8]>,
}

impl<'call> Arguments<'call> {
    /// # Safety
    ///
    /// The call is one that Postgres makes, and lasts as long as what is read of it.
    pub unsafe fn of(call: pg_sys::FunctionCallInfo) -> Self {
        Arguments { call, lifetime: PhantomData }
    }

    /// The answer NULL.
    pub fn null(&mut self) -> pg_sys::Datum {
        // SAFETY: see `of`.
        unsafe { (*self.call).isnull = true };
        pg_sys::Datum::from(0)
    }

    /// How far a function that returns a set has come; `None` where no set is wanted.
    pub fn walk(&self) -> Option<&'call mut Walk> {
        // SAFETY: see `of`. What a function keeps between its calls lives as long as the query; the context tells when a set is left
        // before its end, once for each time that it is asked to.
        unsafe {
            let results: *mut pg_sys::ReturnSetInfo = (*self.call).resultinfo.cast();
            let function = (*self.call).flinfo;
            let context = results.as_ref()?.econtext;
            if (*function).fn_extra.is_null() {
                (*function).fn_extra = pg_sys::MemoryContextAllocZero((*function).fn_mcxt, size_of::<Walk>());
            }
            let walk: *mut Walk = (*function).fn_extra.cast();
            if !(*walk).is_watched {
                (*walk).is_watched = true;
                pg_sys::RegisterExprContextCallback(context, Some(leave), pg_sys::Datum::from(walk));
            }
            (*walk).results = results;
            walk.as_mut()
        }
    }

    /// A value as it was passed; `None` for NULL and for what the function does not have.
    pub fn datum(&self, place: usize) -> Option<pg_sys::Datum> {
        // SAFETY: see `of`; there are nargs of them.
        unsafe {
            let passed = usize::try_from((*self.call).nargs).ok()?;
            let argument = (*self.call).args.as_slice(passed).get(place)?;
            (!argument.isnull).then_some(argument.value)
        }
    }

    /// A bigint, or what is one inside: a timestamptz.
    pub fn bigint(&self, place: usize) -> Option<i64> {
        self.datum(place).map(|datum| datum.value() as i64)
    }

    /// A smallint.
    pub fn smallint(&self, place: usize) -> Option<i16> {
        self.datum(place).map(|datum| datum.value() as i16)
    }

    /// A double precision.
    pub fn double(&self, place: usize) -> Option<f64> {
        self.datum(place).map(|datum| f64::from_bits(datum.value() as u64))
    }

    /// An interval.
    pub fn interval(&self, place: usize) -> Option<&'call pg_sys::Interval> {
        // SAFETY: the SQL declaration says that it is one, which is passed by reference.
        self.datum(place).and_then(|datum| unsafe { datum.cast_mut_ptr::<pg_sys::Interval>().as_ref() })
    }

    /// What is in a value of variable length: without its header.
    pub fn bytes(&self, place: usize) -> Option<&'call [u8]> {
        let start: *mut pg_sys::varlena = self.datum(place)?.cast_mut_ptr();
        // SAFETY: the SQL declaration says that it is such a value. One that is compressed or lies elsewhere becomes a copy in the
        // memory of the row.
        Some(unsafe {
            let is_away = varatt_is_4b_c(start) || varatt_is_1b(start) && varatt_is_1b_e(start);
            varlena_to_byte_slice(if is_away { pg_sys::pg_detoast_datum_packed(start) } else { start })
        })
    }

    /// A text, which in a database that is not in UTF-8 must be in ASCII.
    pub fn text(&self, place: usize) -> Option<&'call str> {
        std::str::from_utf8(self.bytes(place)?).ok()
    }
}

/// How far a function has come that returns one value of a set a call. Its arguments stay the same until the end.
pub struct Walk {
    place: usize,
    is_watched: bool,
    results: *mut pg_sys::ReturnSetInfo,
}

impl Walk {
    /// The place of the next value, counted from 0.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Answers with this value, or that there is none any more.
    pub fn answer(&mut self, value: Option<pg_sys::Datum>) -> Option<pg_sys::Datum> {
        let (place, is_done) = match value {
            Some(_) => (self.place + 1, pg_sys::ExprDoneCond::ExprMultipleResult),
            None => (0, pg_sys::ExprDoneCond::ExprEndResult),
        };
        self.place = place;
        // SAFETY: where Postgres looks for it after this call.
        unsafe { (*self.results).isDone = is_done };
        value
    }
}

/// The set is left before its end, or the query ends.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn leave(walk: pg_sys::Datum) {
    // SAFETY: what `walk` has registered.
    if let Some(walk) = unsafe { walk.cast_mut_ptr::<Walk>().as_mut() } {
        (walk.place, walk.is_watched) = (0, false);
    }
}
