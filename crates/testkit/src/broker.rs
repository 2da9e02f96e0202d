use lapin::options::{BasicGetOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};

/// Exchanges and queues of one test, deleted with it.
pub struct Broker {
    pub prefix: String,
    _connection: Connection,
    channel: Channel,
}

impl Broker {
    pub async fn new() -> Self {
        let connection = Connection::connect(&crate::amqp_url(), ConnectionProperties::default())
            .await
            .expect("RabbitMQ for tests answers (see README)");
        let channel = connection.create_channel().await.unwrap();
        Self { prefix: format!("test-{}", uuid::Uuid::new_v4().simple()), _connection: connection, channel }
    }

    /// Takes one message out of a queue of the prefix; none when it is empty.
    pub async fn take(&self, queue: &str) -> Option<Vec<u8>> {
        let name = format!("{}.{queue}", self.prefix);
        let got = self.channel.basic_get(name.into(), BasicGetOptions { no_ack: true }).await.unwrap();
        got.map(|message| message.delivery.data)
    }

    /// Call it at the end: asynchronous work cannot be done in a destructor.
    pub async fn clean_up(self) {
        for queue in titan_bus::QUEUES.iter().map(|q| q.name).chain(["dead"]) {
            let name = format!("{}.{queue}", self.prefix);
            self.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in ["events", "dead"] {
            let name = format!("{}.{exchange}", self.prefix);
            self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
    }
}
