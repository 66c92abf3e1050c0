//! Reads a model.
