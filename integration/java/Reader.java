import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a whole topic: a digest per partition, and if "dump" names a file and "partition" one, that partition's records as lines. */
final class Reader {
    private Reader() {}

    static JsonNode read(String bootstrap, JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        Map<Integer, Canonical> digests = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = open(bootstrap);
             PrintWriter dump = new PrintWriter(command.path("dump").asText("/dev/null"), StandardCharsets.UTF_8)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo partition : consumer.partitionsFor(topic)) {
                if (command.path("partition").asInt(partition.partition()) == partition.partition()) {
                    partitions.add(new TopicPartition(topic, partition.partition()));
                    digests.put(partition.partition(), new Canonical());
                }
            }
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    if (record.offset() >= ends.get(new TopicPartition(topic, record.partition()))) continue;
                    digests.get(record.partition()).add(record);
                    if (command.has("dump")) dump.println(Canonical.line(record));
                }
            }
        }
        return answer(digests);
    }

    private static KafkaConsumer<byte[], byte[]> open(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "5000");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static JsonNode answer(Map<Integer, Canonical> digests) {
        ObjectNode answer = Tool.ok();
        ArrayNode partitions = answer.putArray("partitions");
        digests.forEach((partition, digest) -> partitions.addObject().put("partition", partition).put("records", digest.records)
            .put("appended", digest.appended).put("first", digest.first).put("last", digest.last).put("digest", digest.digest()));
        return answer;
    }
}
