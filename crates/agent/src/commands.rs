//! The commands, one file each. They alone look at the machine.

pub(crate) mod bootstrap;
mod host;
mod names;
pub(crate) mod proxy;
pub(crate) mod redirect;

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn print(text: &str) {
    print!("{text}");
}
