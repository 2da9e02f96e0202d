use std::path::Path;

use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::DeploymentId;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::App;
use crate::store::deployments::Row;

const LINES: u32 = 100;
const LINES_MOST: u32 = 5_000;
const BYTES_MOST: u64 = 1 << 20;

impl App {
    /// The last lines the app printed.
    pub(crate) async fn logs(&self, who: &Principal, id: DeploymentId, lines: u32) -> Result<Vec<String>> {
        if lines > LINES_MOST {
            return Err(Error::invalid("lines", format!("must be at most {LINES_MOST}")));
        }
        let (row, _) = self.deployment(who, id).await?;
        let wanted = if lines == 0 { LINES } else { lines } as usize;
        self.tail(&row, wanted).await
    }

    /// Also of what was put aside, as far as the log itself does not go back.
    pub(super) async fn tail(&self, row: &Row, lines: usize) -> Result<Vec<String>> {
        let log = self.log_file(row);
        let last = tail_of(&log, lines).await?;
        let before = if last.len() < lines { tail_of(&log.with_extension("log.1"), lines - last.len()).await? } else { Vec::new() };
        Ok([before, last].concat())
    }
}

async fn tail_of(log: &Path, lines: usize) -> Result<Vec<String>> {
    let mut file = match tokio::fs::File::open(log).await {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::internal(e)),
    };
    let size = file.metadata().await.map_err(Error::internal)?.len();
    file.seek(std::io::SeekFrom::Start(size.saturating_sub(BYTES_MOST))).await.map_err(Error::internal)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MOST).read_to_end(&mut bytes).await.map_err(Error::internal)?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{2400}");
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|l| (*l).to_owned()).collect())
}
