//! The session messages of `Flight.proto`, which arrow-flight does not have yet.
//!
//! Source: <https://github.com/apache/arrow/blob/main/format/Flight.proto>.

use std::collections::HashMap;

use prost::{Enumeration, Message, Oneof};

/// Asks to set options of the session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    /// By name; an empty value takes the option back to its default.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// A value, or none.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionOptionValue {
    /// The value.
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(crate) option_value: Option<OptionValue>,
}

/// A value of one of the types that there are.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum OptionValue {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// A whole number.
    #[prost(sfixed64, tag = "3")]
    Int(i64),
    /// A number.
    #[prost(double, tag = "4")]
    Double(f64),
    /// Texts.
    #[prost(message, tag = "5")]
    List(StringList),
}

/// Texts.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringList {
    /// The texts.
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

/// Says which options were not set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    /// By name of the option; those that are not here were set.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) errors: HashMap<String, SetSessionOptionError>,
}

/// Why an option was not set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionError {
    /// The reason.
    #[prost(enumeration = "OptionError", tag = "1")]
    pub(crate) value: i32,
}

/// Reasons for which an option is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum OptionError {
    /// Not said.
    Unspecified = 0,
    /// There is no such option.
    InvalidName = 1,
    /// The option does not take this value.
    InvalidValue = 2,
    /// It did not work.
    Error = 3,
}

/// The options of the session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    /// By name.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, SessionOptionValue>,
}

/// Says how closing the session went.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    /// How.
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub(crate) status: i32,
}

/// How closing a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum CloseStatus {
    /// Not said.
    Unspecified = 0,
    /// It is closed.
    Closed = 1,
    /// It is being closed.
    Closing = 2,
    /// It cannot be closed.
    NotCloseable = 3,
}
