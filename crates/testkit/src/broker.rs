use lapin::options::{BasicGetOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};

/// Exchanges and queues of one test, deleted with it.
pub struct Broker {
    pub prefix: String,
}

impl Default for Broker {
    fn default() -> Self {
        Self { prefix: format!("test-{}", uuid::Uuid::new_v4().simple()) }
    }
}

impl Broker {
    /// Takes one message that was refused for good.
    pub async fn take_dead(&self) -> Option<Vec<u8>> {
        let (_connection, channel) = connect().await;
        take(&channel, &self.prefix).await
    }
}

impl Drop for Broker {
    /// A dead letter that the test did not take fails it.
    fn drop(&mut self) {
        let prefix = std::mem::take(&mut self.prefix);
        let cleaned = crate::apart(async move || {
            let (_connection, channel) = connect().await;
            let dead = take(&channel, &prefix).await;
            let (_connection, channel) = connect().await;
            for queue in titan_bus::QUEUES.iter().map(|q| q.name).chain(["dead"]) {
                channel.queue_delete(format!("{prefix}.{queue}").into(), QueueDeleteOptions::default()).await.unwrap();
            }
            for exchange in ["events", "dead"] {
                channel.exchange_delete(format!("{prefix}.{exchange}").into(), ExchangeDeleteOptions::default()).await.unwrap();
            }
            dead
        });
        if let Ok(Some(dead)) = cleaned.join()
            && !std::thread::panicking()
        {
            panic!("a dead letter was left: {}", String::from_utf8_lossy(&dead));
        }
    }
}

async fn connect() -> (Connection, Channel) {
    let connection =
        Connection::connect(&crate::amqp_url(), ConnectionProperties::default()).await.expect("RabbitMQ for tests answers (see README)");
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// None too when nothing was ever declared; the channel is of no use then.
async fn take(channel: &Channel, prefix: &str) -> Option<Vec<u8>> {
    let got = channel.basic_get(format!("{prefix}.dead").into(), BasicGetOptions { no_ack: true }).await.ok()?;
    got.map(|message| message.delivery.data)
}
