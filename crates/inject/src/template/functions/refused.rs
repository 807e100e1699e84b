//! Why some of sprig's functions are not here: the same pod gets the same proxy wherever and whenever it is injected.

pub(super) const CLOCK: &str =
    "injection has no clock, so that the same pod gives the same result at any time; give the date as data";
pub(super) const ENVIRONMENT: &str = "injection does not expand the environment of the control plane; use Istio's function env, which sees the variables that are allowed";
pub(super) const NETWORK: &str = "injection asks no name server";
pub(super) const RANDOM: &str =
    "injection uses no random numbers, so that the same pod gives the same result each time";
pub(super) const CRYPTO: &str = "injection makes no keys, certificates or passwords; mount them from a Secret";
