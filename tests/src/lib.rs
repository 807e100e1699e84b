//! Tests of the whole; the cases are in the folders beside this one.
