use std::process::ExitCode;

use crate::home::Home;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What git wants: get, store or erase. Only get has an answer.
    operation: String,
}

/// The protocol of `git help credentials`.
pub(crate) fn run(home: &Home, args: Args) -> anyhow::Result<ExitCode> {
    if args.operation == "get" {
        println!("username=titan\npassword={}", home.api_key()?);
    }
    Ok(ExitCode::SUCCESS)
}
