//! The queries in the dialect. Names and numbers are Nexmark's.

use serde_json::Value;

use super::{events::Events, oracle};

/// A query.
pub(super) struct NexmarkQuery {
    pub name: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// Behind CREATE … AS.
    pub sql: &'static str,
    pub is_table: bool,
    /// The values that its topic must hold.
    pub expected: fn(&Events) -> Vec<Value>,
}

/// Streams and tables over the topics.
pub(super) const SOURCES: &str = "
    CREATE STREAM IF NOT EXISTS bid (auction_key VARCHAR KEY, auction BIGINT, bidder BIGINT, price BIGINT,
      channel VARCHAR, url VARCHAR, date_time BIGINT, extra VARCHAR) WITH (kafka_topic = 'bid', value_format = 'JSON');
    CREATE STREAM IF NOT EXISTS auction (auction_key VARCHAR KEY, id BIGINT, item_name VARCHAR, description VARCHAR,
      initial_bid BIGINT, reserve BIGINT, date_time BIGINT, expires BIGINT, seller BIGINT, category BIGINT,
      extra VARCHAR) WITH (kafka_topic = 'auction', value_format = 'JSON');
    CREATE STREAM IF NOT EXISTS person (person_key VARCHAR KEY, id BIGINT, name VARCHAR, email_address VARCHAR,
      credit_card VARCHAR, city VARCHAR, state VARCHAR, date_time BIGINT, extra VARCHAR)
      WITH (kafka_topic = 'person', value_format = 'JSON');
    CREATE TABLE IF NOT EXISTS auctions (auction_key VARCHAR PRIMARY KEY, id BIGINT, item_name VARCHAR,
      initial_bid BIGINT, reserve BIGINT, date_time BIGINT, expires BIGINT, seller BIGINT, category BIGINT)
      WITH (kafka_topic = 'auction', value_format = 'JSON');
    CREATE TABLE IF NOT EXISTS persons (person_key VARCHAR PRIMARY KEY, id BIGINT, name VARCHAR, city VARCHAR,
      state VARCHAR) WITH (kafka_topic = 'person', value_format = 'JSON');
    CREATE TABLE IF NOT EXISTS side (side_key VARCHAR PRIMARY KEY, value VARCHAR)
      WITH (kafka_topic = 'side', value_format = 'JSON');";

/// All of them.
pub(super) const QUERIES: &[NexmarkQuery] = &[
    NexmarkQuery {
        name: "q0",
        title: "pass through",
        sql: "SELECT auction_key, auction, bidder, price, date_time, extra FROM bid EMIT CHANGES",
        is_table: false,
        expected: oracle::q0,
    },
    NexmarkQuery {
        name: "q1",
        title: "currency",
        sql: "SELECT auction_key, auction, bidder, price * 0.908 AS price, date_time, extra FROM bid EMIT CHANGES",
        is_table: false,
        expected: oracle::q1,
    },
    NexmarkQuery {
        name: "q2",
        title: "selection",
        sql: "SELECT auction_key, auction, price FROM bid WHERE auction % 123 = 0 EMIT CHANGES",
        is_table: false,
        expected: oracle::q2,
    },
    NexmarkQuery {
        name: "q3",
        title: "local item suggestion",
        sql: "SELECT a.auction_key AS auction_key, p.name AS name, p.city AS city, p.state AS state, a.id AS id \
              FROM auctions a JOIN persons p ON CAST(a.seller AS VARCHAR) = p.person_key \
              WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca') EMIT CHANGES",
        is_table: true,
        expected: oracle::q3,
    },
    NexmarkQuery {
        name: "q4",
        title: "mean price by category",
        sql: "SELECT category, AS_VALUE(category) AS of_category, AVG(final) AS average FROM (\
                SELECT a.id AS id, a.category AS category, MAX(b.price) AS final FROM bid b \
                JOIN auctions a ON b.auction_key = a.auction_key \
                WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) best \
              GROUP BY category EMIT CHANGES",
        is_table: true,
        expected: oracle::q4,
    },
    NexmarkQuery {
        name: "q5",
        title: "bids by auction, hopping",
        sql: "SELECT auction, AS_VALUE(auction) AS of_auction, COUNT(*) AS num, WINDOWSTART AS since FROM bid \
              WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS) GROUP BY auction EMIT CHANGES",
        is_table: true,
        expected: oracle::q5,
    },
    NexmarkQuery {
        name: "q7",
        title: "highest bid by window",
        sql: "SELECT 'all' AS market, MAX(price) AS price, ARG_MAX(auction, price) AS auction, \
              ARG_MAX(bidder, price) AS bidder FROM bid WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY 'all' EMIT CHANGES",
        is_table: true,
        expected: oracle::q7,
    },
    NexmarkQuery {
        name: "q8",
        title: "new users who sell at once",
        sql: "SELECT p.person_key AS person_key, p.id AS id, p.name AS name, p.date_time / 10000 AS in_window \
              FROM person p JOIN auction a WITHIN 10 SECONDS ON p.person_key = CAST(a.seller AS VARCHAR) \
              WHERE p.date_time / 10000 = a.date_time / 10000 EMIT CHANGES",
        is_table: false,
        expected: oracle::q8,
    },
    NexmarkQuery {
        name: "q9",
        title: "winning bids",
        sql: "SELECT a.id AS id, AS_VALUE(a.id) AS of_auction, ARG_MAX(b.bidder, b.price) AS bidder, \
              MAX(b.price) AS price FROM bid b JOIN auctions a ON b.auction_key = a.auction_key \
              WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id EMIT CHANGES",
        is_table: true,
        expected: oracle::q9,
    },
    NexmarkQuery {
        name: "q11",
        title: "user sessions",
        sql: "SELECT bidder, AS_VALUE(bidder) AS who, COUNT(*) AS bids, WINDOWSTART AS since, WINDOWEND AS until \
              FROM bid WINDOW SESSION (10 SECONDS) GROUP BY bidder EMIT CHANGES",
        is_table: true,
        expected: oracle::q11,
    },
    NexmarkQuery {
        name: "q13",
        title: "join with a bounded table",
        sql: "SELECT s.side_key AS side_key, b.auction AS auction, b.bidder AS bidder, b.price AS price, \
              b.date_time AS date_time, s.value AS value FROM bid b \
              JOIN side s ON CAST(b.auction % 10000 AS VARCHAR) = s.side_key EMIT CHANGES",
        is_table: false,
        expected: oracle::q13,
    },
    NexmarkQuery {
        name: "q14",
        title: "calculation",
        sql: "SELECT auction_key, auction, bidder, price * 0.908 AS price, \
              CASE WHEN (date_time / 3600000) % 24 BETWEEN 8 AND 18 THEN 'dayTime' \
                   WHEN (date_time / 3600000) % 24 <= 6 OR (date_time / 3600000) % 24 >= 20 THEN 'nightTime' \
                   ELSE 'otherTime' END AS bid_time_type, \
              date_time, extra, LEN(extra) - LEN(REPLACE(extra, 'c', '')) AS c_counts \
              FROM bid WHERE price * 0.908 > 1000000 AND price * 0.908 < 50000000 EMIT CHANGES",
        is_table: false,
        expected: oracle::q14,
    },
    NexmarkQuery {
        name: "q15",
        title: "statistics by day",
        sql: "SELECT date_time / 86400000 AS day, COUNT(*) AS total_bids, \
              COUNT(*) FILTER (WHERE price < 10000) AS low_bids, \
              COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle_bids, \
              COUNT(*) FILTER (WHERE price >= 1000000) AS high_bids, \
              COUNT(DISTINCT bidder) AS bidders, COUNT(DISTINCT auction) AS auctions \
              FROM bid GROUP BY date_time / 86400000 EMIT CHANGES",
        is_table: true,
        expected: oracle::q15,
    },
    NexmarkQuery {
        name: "q16",
        title: "statistics by channel and day",
        sql: "SELECT channel, date_time / 86400000 AS day, AS_VALUE(channel) AS of_channel, \
              MAX(date_time) AS latest, COUNT(*) AS total_bids, \
              COUNT(*) FILTER (WHERE price < 10000) AS low_bids, \
              COUNT(DISTINCT bidder) AS bidders, COUNT(DISTINCT auction) AS auctions \
              FROM bid GROUP BY channel, date_time / 86400000 EMIT CHANGES",
        is_table: true,
        expected: oracle::q16,
    },
    NexmarkQuery {
        name: "q17",
        title: "statistics by auction and day",
        sql: "SELECT auction, date_time / 86400000 AS day, AS_VALUE(auction) AS of_auction, COUNT(*) AS total_bids, \
              MIN(price) AS min_price, MAX(price) AS max_price, AVG(price) AS avg_price, SUM(price) AS sum_price \
              FROM bid GROUP BY auction, date_time / 86400000 EMIT CHANGES",
        is_table: true,
        expected: oracle::q17,
    },
    NexmarkQuery {
        name: "q18",
        title: "last bid of a bidder",
        sql: "SELECT bidder, auction, AS_VALUE(bidder) AS who, AS_VALUE(auction) AS for_auction, \
              LATEST_BY_OFFSET(price) AS price, LATEST_BY_OFFSET(date_time) AS date_time \
              FROM bid GROUP BY bidder, auction EMIT CHANGES",
        is_table: true,
        expected: oracle::q18,
    },
    NexmarkQuery {
        name: "q19",
        title: "ten highest bids of an auction",
        sql: "SELECT auction, AS_VALUE(auction) AS of_auction, TOPK(price, 10) AS prices FROM bid \
              GROUP BY auction EMIT CHANGES",
        is_table: true,
        expected: oracle::q19,
    },
    NexmarkQuery {
        name: "q20",
        title: "bids with their auction",
        sql: "SELECT b.auction_key AS auction_key, b.auction AS auction, b.bidder AS bidder, b.price AS price, \
              a.item_name AS item_name, a.seller AS seller, a.category AS category \
              FROM bid b JOIN auctions a ON b.auction_key = a.auction_key WHERE a.category = 10 EMIT CHANGES",
        is_table: false,
        expected: oracle::q20,
    },
    NexmarkQuery {
        name: "q21",
        title: "channel ids",
        sql: "SELECT auction_key, auction, bidder, price, channel, \
              CASE LCASE(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' \
                WHEN 'baidu' THEN '3' ELSE REGEXP_EXTRACT('(&|^)channel_id=([^&]*)', url, 2) END AS channel_id \
              FROM bid WHERE REGEXP_EXTRACT('(&|^)channel_id=([^&]*)', url, 2) IS NOT NULL \
                OR LCASE(channel) IN ('apple', 'google', 'facebook', 'baidu') EMIT CHANGES",
        is_table: false,
        expected: oracle::q21,
    },
    NexmarkQuery {
        name: "q22",
        title: "folders of a URL",
        sql: "SELECT auction_key, auction, bidder, price, channel, SPLIT(url, '/')[4] AS dir1, \
              SPLIT(url, '/')[5] AS dir2, SPLIT(url, '/')[6] AS dir3 FROM bid EMIT CHANGES",
        is_table: false,
        expected: oracle::q22,
    },
];
