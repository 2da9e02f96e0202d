use std::process::ExitCode;

fn main() -> ExitCode {
    titan_service::service_main("proxy", &titan_deployment::MIGRATIONS, titan_deployment::run_proxy)
}
