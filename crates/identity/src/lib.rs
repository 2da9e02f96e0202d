//! This crate only says who is calling: the principal, the tokens by which services vouch for it to each
//! other, and the credential that ties an effect to one attempt at one task.

mod attempt;
mod principal;
mod signer;

pub use attempt::{Attempt, Effects};
pub use principal::{Principal, PrincipalId};
pub use signer::{Signer, authenticate};
