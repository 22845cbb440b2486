import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * Reads a topic to its end as it is now, with a consumer's "settings": a digest per partition, if "dump" names a file and "partition" one, that
 * partition's records as lines, and if "list" is true, every record and the position after it.
 */
final class Reader {
    private Reader() {}

    static JsonNode read(String bootstrap, JsonNode command) throws Exception {
        boolean list = command.path("list").asBoolean();
        Map<Integer, Canonical> digests = new TreeMap<>();
        ObjectNode answer = Tool.ok();
        ArrayNode records = answer.putArray("records");
        ObjectNode settings = command.path("settings").isObject() ? command.path("settings").deepCopy() : Tool.JSON.createObjectNode();
        settings.put("max.poll.records", list ? "1" : "5000");
        try (KafkaConsumer<byte[], byte[]> consumer = Consumers.open(bootstrap, settings);
             PrintWriter dump = new PrintWriter(command.path("dump").asText("/dev/null"), StandardCharsets.UTF_8)) {
            List<TopicPartition> partitions = Consumers.partitions(consumer, command.path("topic").asText());
            partitions.removeIf(partition -> command.path("partition").asInt(partition.partition()) != partition.partition());
            partitions.forEach(partition -> digests.put(partition.partition(), new Canonical()));
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    if (record.offset() >= ends.get(partition)) continue;
                    digests.get(record.partition()).add(record);
                    if (command.has("dump")) dump.println(Canonical.line(record));
                    if (list) records.add(Canonical.json(record).put("position", consumer.position(partition)));
                }
            }
        }
        summarize(digests, answer.putArray("partitions"));
        return answer;
    }

    private static void summarize(Map<Integer, Canonical> digests, ArrayNode partitions) {
        digests.forEach((partition, digest) -> partitions.addObject().put("partition", partition).put("records", digest.records)
            .put("appended", digest.appended).put("first", digest.first).put("last", digest.last).put("digest", digest.digest()));
    }
}
