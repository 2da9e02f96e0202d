use std::process::ExitCode;

fn main() -> ExitCode {
    titan_service::service_main("orchestrator", &titan_orchestrator::MIGRATIONS, titan_orchestrator::run)
}
