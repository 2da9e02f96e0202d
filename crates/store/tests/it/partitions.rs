use chrono::{Days, NaiveDate};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use titan_store::Partitions;
use titan_telemetry::Metrics;
use titan_testkit::TestDatabase;

struct Fixture {
    database: TestDatabase,
    db: DatabaseConnection,
    partitions: Partitions,
}

const TODAY: Option<NaiveDate> = NaiveDate::from_ymd_opt(2031, 3, 30);

async fn fixture() -> Fixture {
    let database = super::database().await;
    let db = super::pool(&database, "gateway").await;
    db.execute_unprepared("CREATE TABLE seen (at timestamptz NOT NULL, what text NOT NULL) PARTITION BY RANGE (at)").await.unwrap();
    db.execute_unprepared("CREATE INDEX seen_what ON seen (what)").await.unwrap();
    let partitions = Partitions::new(db.clone(), &Metrics::default(), "seen", 2).unwrap();
    Fixture { database, db, partitions }
}

impl Fixture {
    async fn see(&self, day: NaiveDate, what: &str) -> Result<(), String> {
        let insert = format!("INSERT INTO seen VALUES ('{day} 12:00+00', '{what}')");
        self.db.execute_unprepared(&insert).await.map(drop).map_err(|e| e.to_string())
    }
    async fn count(&self) -> i64 {
        self.database.count("SELECT count(*) FROM gateway.seen").await
    }
}

#[tokio::test]
async fn days_are_there_before_they_come_and_go_when_they_are_old() {
    let (f, today) = (fixture().await, TODAY.unwrap());
    assert!(f.see(today, "before").await.unwrap_err().contains("no partition"));
    let (one, other) = tokio::join!(f.partitions.maintain(today), f.partitions.maintain(today));
    one.and(other).unwrap();
    assert_eq!(f.partitions.days_ahead(), 7);
    for n in 0..=7 {
        f.see(today + Days::new(n), "on its day").await.unwrap();
    }
    assert!(f.see(today + Days::new(8), "too early").await.is_err());
    // Three days later the first day is older than two.
    f.partitions.maintain(today + Days::new(3)).await.unwrap();
    assert_eq!(f.count().await, 7);
    f.see(today + Days::new(10), "now").await.unwrap();
    assert!(f.see(today, "too late").await.is_err());
}

#[tokio::test]
async fn what_is_in_the_way_is_an_alarm_and_stops_nothing_else() {
    let (f, today) = (fixture().await, TODAY.unwrap());
    f.partitions.maintain(today).await.unwrap();
    // Nobody could make partitions for a while, and something has the name of the next one.
    let day = today + Days::new(8);
    f.db.execute_unprepared(&format!("CREATE TABLE seen_{} (at timestamptz)", day.format("%Y%m%d"))).await.unwrap();
    let error = f.partitions.maintain(today + Days::new(3)).await.unwrap_err();
    assert!(format!("{error:?}").contains("already exists"), "{error:?}");
    assert_eq!(f.partitions.days_ahead(), 4, "the alarm says how long there is");
    f.see(today + Days::new(7), "still there").await.unwrap();
}
