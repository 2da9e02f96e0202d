//! What apps cost, by the prices that the operator has set.

use titan_proto::monitoring::Cost;

use crate::config::Prices;
use crate::store::usage::Counted;

const GIB: f64 = 1_073_741_824.0;
const MONTH_HOURS: f64 = 730.0;
const HOUR_MS: f64 = 3_600_000.0;

/// In the currency of the prices.
#[expect(clippy::cast_precision_loss, reason = "bytes and milliseconds")]
pub(super) fn of(counted: &Counted, prices: &Prices) -> Cost {
    Cost {
        processor: counted.cpu_ms as f64 / HOUR_MS * prices.core_hour,
        memory: counted.memory_byte_hours / GIB * prices.memory_gib_hour,
        disk: counted.disk_byte_hours / GIB / MONTH_HOURS * prices.disk_gib_month,
        network: counted.sent_bytes as f64 / GIB * prices.sent_gib,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_price() {
        let prices = Prices { currency: "EUR".to_owned(), core_hour: 0.04, memory_gib_hour: 0.005, disk_gib_month: 0.1, sent_gib: 0.09 };
        let counted = Counted {
            cpu_ms: 7_200_000,
            memory_byte_hours: 3.0 * GIB,
            disk_byte_hours: 1_460.0 * GIB,
            sent_bytes: 1 << 31,
            ..Counted::default()
        };
        let Cost { processor, memory, disk, network } = of(&counted, &prices);
        let near = |cost: f64, wanted: f64| (cost - wanted).abs() < 1e-9;
        assert!(near(processor, 0.08) && near(memory, 0.015) && near(disk, 0.2) && near(network, 0.18));
    }
}
