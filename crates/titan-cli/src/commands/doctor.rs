use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::client::Client;
use crate::home::Home;
use crate::stack::postgres;

struct Finding {
    check: &'static str,
    ok: bool,
    found: String,
    /// What to do when it is not ok.
    fix: &'static str,
}

pub(crate) async fn run(url: &str, home: &Home, json: bool) -> anyhow::Result<ExitCode> {
    let findings = [sandbox().await, cluster(), program("git", "git", "apt-get install git"), python(), gateway(url, home).await];
    let healthy = findings.iter().all(|f| f.ok);
    if json {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| json!({ "check": f.check, "ok": f.ok, "found": f.found, "fix": if f.ok { "" } else { f.fix } }))
            .collect();
        println!("{}", json!({ "ok": healthy, "checks": rows }));
    } else {
        for finding in &findings {
            println!("{}  {:<12} {}", if finding.ok { "ok  " } else { "FAIL" }, finding.check, finding.found);
            if !finding.ok {
                println!("      fix: {}", finding.fix);
            }
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn sandbox() -> Finding {
    match titan_sandbox::Sandbox::probe().await {
        Ok(sandbox) => Finding { check: "sandbox", ok: true, found: sandbox.level().to_string(), fix: "" },
        Err(unavailable) => Finding { check: "sandbox", ok: false, found: unavailable.reason, fix: unavailable.remedy },
    }
}

fn cluster() -> Finding {
    let fix = "apt-get install postgresql (with create_main_cluster = false, if `titan dev` is all you want it for), or name a database with TITAN_DATABASE_URL";
    match postgres::programs() {
        Ok(dir) => Finding { check: "postgresql", ok: true, found: dir.display().to_string(), fix },
        Err(error) => Finding { check: "postgresql", ok: false, found: format!("{error:#}"), fix },
    }
}

fn program(check: &'static str, name: &str, fix: &'static str) -> Finding {
    match std::process::Command::new(name).arg("--version").output() {
        Ok(output) if output.status.success() => {
            Finding { check, ok: true, found: String::from_utf8_lossy(&output.stdout).trim().to_owned(), fix }
        }
        _ => Finding { check, ok: false, found: format!("{name} does not run"), fix },
    }
}

/// Debian's own, which the sandbox can see; a version manager's below a home directory it cannot.
fn python() -> Finding {
    let (check, fix) = ("python", "apt-get install python3 python3-coverage");
    if !Path::new("/usr/bin/python3").exists() {
        return Finding { check, ok: false, found: "/usr/bin/python3 is missing".to_owned(), fix };
    }
    let coverage = std::process::Command::new("/usr/bin/python3")
        .args(["-I", "-c", "import coverage, sys; print(sys.version.split()[0], 'with coverage', coverage.__version__)"])
        .output();
    match coverage {
        Ok(output) if output.status.success() => {
            Finding { check, ok: true, found: String::from_utf8_lossy(&output.stdout).trim().to_owned(), fix }
        }
        _ => Finding { check, ok: false, found: "/usr/bin/python3 has no coverage module".to_owned(), fix },
    }
}

async fn gateway(url: &str, home: &Home) -> Finding {
    let (check, fix) = ("gateway", "start it with `titan dev`, or name another with --url and its key with TITAN_API_KEY");
    let agents = async {
        let page = Client::new(url, home)?.get("/agents?limit=200").await?;
        let alive = page["items"].as_array().into_iter().flatten().filter(|a| a["status"] != "offline").count();
        Ok::<_, anyhow::Error>(alive)
    };
    match agents.await {
        Ok(0) => Finding {
            check,
            ok: false,
            found: format!("{url} answers, but no agent is connected"),
            fix: "start an agent worker; see its log for why it does not connect",
        },
        Ok(agents) => Finding { check, ok: true, found: format!("{url}, {agents} agents connected"), fix },
        Err(error) => Finding { check, ok: false, found: format!("{error:#}").lines().next().unwrap_or_default().to_owned(), fix },
    }
}
