use std::process::ExitCode;

fn main() -> ExitCode {
    titan_service::service_main("gateway", &titan_gateway::MIGRATIONS, titan_gateway::run)
}
