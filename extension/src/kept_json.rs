//! A jsonb argument that is the same in call after call, such as a network's parameter map: parsed once a session.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::datum::{FromDatum, JsonB};
use pgrx::nullable::Nullable;
use pgrx::prelude::*;
use pgrx::varlena::varlena_to_byte_slice;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

/// How many a session keeps; with one more it begins again. There is one for each network.
const KEPT_VALUES: usize = 256;

thread_local! {
    /// By the bytes of the jsonb.
    static VALUES: RefCell<HashMap<Vec<u8>, Rc<Value>>> = RefCell::new(HashMap::new());
}

pub struct KeptJson(Rc<Value>);

impl Deref for KeptJson {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl FromDatum for KeptJson {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, typoid: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the SQL declarations say that the argument is a jsonb, so the datum points to a varlena, which stays
        // where it is while its bytes are read here.
        let bytes = unsafe { varlena_to_byte_slice(pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr())) };
        VALUES.with_borrow_mut(|values| {
            if let Some(value) = values.get(bytes) {
                return Some(KeptJson(value.clone()));
            }
            // SAFETY: as above.
            let JsonB(value) = unsafe { JsonB::from_polymorphic_datum(datum, is_null, typoid) }?;
            if values.len() == KEPT_VALUES {
                values.clear();
            }
            let value = Rc::new(value);
            values.insert(bytes.to_vec(), value.clone());
            Some(KeptJson(value))
        })
    }
}

// SAFETY: an argument is unboxed as the datum that it is, and a NULL only into an Option.
unsafe impl<'fcx> ArgAbi<'fcx> for KeptJson {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| KeptJson(Rc::new(Value::Null)))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        unsafe { arg.unbox_arg_using_from_datum() }.into()
    }
}

impl_sql_translatable!(KeptJson, "jsonb");
