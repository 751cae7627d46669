import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** Counts words with Flink SQL to the end of topic "flink-words", into "flink-counts" and, exactly once, "flink-copy": SERVER FOLDER. */
public final class FlinkWordCount {
  public static void main(String[] args) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("parallelism.default", "1");
    settings.setString("taskmanager.numberOfTaskSlots", "1");
    settings.setString("rest.bind-port", "0");
    settings.setString("rest.address", "127.0.0.1");
    settings.setString("execution.checkpointing.interval", "500 ms");
    settings.setString("execution.checkpointing.storage", "filesystem");
    settings.setString("execution.checkpointing.dir", "file://" + args[1]);
    settings.setString("table.exec.source.idle-timeout", "0 ms");
    var environment = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
    var tables =
        StreamTableEnvironment.create(
            environment, EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    String kafka = "'properties.bootstrap.servers' = '" + args[0] + "'";
    tables.executeSql(
        "CREATE TABLE words (word STRING) WITH ('connector' = 'kafka', 'topic' = 'flink-words', " + kafka
            + ", 'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset',"
            + " 'scan.bounded.mode' = 'latest-offset', 'format' = 'raw')");
    tables.executeSql(
        "CREATE TABLE counts (word STRING, n BIGINT, PRIMARY KEY (word) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',"
            + " 'topic' = 'flink-counts', " + kafka + ", 'key.format' = 'raw', 'value.format' = 'json')");
    tables.executeSql(
        "CREATE TABLE copy (word STRING) WITH ('connector' = 'kafka', 'topic' = 'flink-copy', " + kafka
            + ", 'format' = 'raw', 'sink.delivery-guarantee' = 'exactly-once',"
            + " 'sink.transactional-id-prefix' = 'copy', 'properties.transaction.timeout.ms' = '600000')");
    var both = tables.createStatementSet();
    both.addInsertSql("INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word");
    both.addInsertSql("INSERT INTO copy SELECT UPPER(word) FROM words");
    both.execute().await();
    System.exit(0);
  }
}
