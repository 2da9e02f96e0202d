use std::process::ExitCode;

fn main() -> ExitCode {
    titan_service::service_main("monitoring", &titan_monitoring::MIGRATIONS, titan_monitoring::run)
}
