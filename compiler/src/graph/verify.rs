//! What holds of a graph in each phase, checked after every pass.
use super::{Graph, Phase};
use crate::error::Fault;
/// stub
pub fn check(_: &Graph, _: Phase) -> Result<(), Fault> {
    Ok(())
}
