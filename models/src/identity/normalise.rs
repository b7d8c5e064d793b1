//! Values as they are compared: one spelling for what people write in many.
//!
//! All of it is ASCII afterwards, so that comparing is comparing bytes. What says nothing (`n/a`, `desconocido`, a
//! telephone number of zeros) is no value.

pub(crate) mod address;
mod calling_codes;
pub(crate) mod company;
pub(crate) mod date;
pub(crate) mod email;
pub(crate) mod name;
pub(crate) mod national_id;
pub(crate) mod phone;
pub(crate) mod text;
