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

    /// As if the broker had lost them.
    pub async fn lose_queues(&self) {
        let (_connection, channel) = connect().await;
        for queue in titan_bus::QUEUES {
            channel.queue_delete(format!("{}.{}", self.prefix, queue.name).into(), QueueDeleteOptions::default()).await.unwrap();
        }
    }
}

impl Drop for Broker {
    /// A dead letter that the test did not take fails it.
    fn drop(&mut self) {
        let prefix = std::mem::take(&mut self.prefix);
        let cleaned = crate::apart(async move || {
            let (_connection, channel) = connect().await;
            let dead = settled(&channel, &prefix).await;
            let (_connection, channel) = connect().await;
            for queue in titan_bus::QUEUES.iter().map(|q| q.name).chain(["dead"]) {
                channel.queue_delete(format!("{prefix}.{queue}").into(), QueueDeleteOptions::default()).await.unwrap();
            }
            for exchange in ["events", "dead"] {
                channel.exchange_delete(format!("{prefix}.{exchange}").into(), ExchangeDeleteOptions::default()).await.unwrap();
            }
            dead
        });
        let dead = cleaned.join();
        if !std::thread::panicking() {
            let dead = dead.expect("the broker answers");
            assert_eq!(dead.as_deref().map(String::from_utf8_lossy), None, "a dead letter was left");
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
    match channel.basic_get(format!("{prefix}.dead").into(), BasicGetOptions { no_ack: true }).await {
        Ok(got) => got.map(|message| message.delivery.data),
        Err(error) if error.to_string().contains("NOT-FOUND") || error.to_string().contains("NOT_FOUND") => None,
        Err(error) => panic!("{error}"),
    }
}

/// The broker moves what is refused in its own time.
async fn settled(channel: &Channel, prefix: &str) -> Option<Vec<u8>> {
    for _ in 0..3 {
        if let Some(dead) = take(channel, prefix).await {
            return Some(dead);
        }
        if !channel.status().connected() {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    None
}
