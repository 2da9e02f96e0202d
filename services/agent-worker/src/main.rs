use std::process::ExitCode;

fn main() -> ExitCode {
    titan_service::service_main("agent-worker", &titan_agent_worker::MIGRATIONS, titan_agent_worker::run)
}
