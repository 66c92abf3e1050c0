//! The plan: flat, printable, checkable.

pub mod request;
