import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.LogTruncationException;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Consumers that are told what to do call by call, each under a name, to see what Kafka's own does. */
final class Consumers {
    private final Map<String, KafkaConsumer<byte[], byte[]>> consumers = new HashMap<>();

    static KafkaConsumer<byte[], byte[]> open(String bootstrap, JsonNode settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        settings.fields().forEachRemaining(entry -> properties.put(entry.getKey(), entry.getValue().asText()));
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (PartitionInfo partition : consumer.partitionsFor(topic)) partitions.add(new TopicPartition(topic, partition.partition()));
        partitions.sort((one, other) -> Integer.compare(one.partition(), other.partition()));
        return partitions;
    }

    /** A consumer of all partitions of "topic". */
    JsonNode assign(String bootstrap, JsonNode command) {
        KafkaConsumer<byte[], byte[]> consumer = open(bootstrap, command.path("settings"));
        consumers.put(command.path("consumer").asText(), consumer);
        consumer.assign(partitions(consumer, command.path("topic").asText()));
        return Tool.ok();
    }

    JsonNode seek(JsonNode command) {
        KafkaConsumer<byte[], byte[]> consumer = named(command);
        consumer.assignment().forEach(partition -> consumer.seek(partition, command.path("offset").asLong()));
        return Tool.ok();
    }

    /** Polls until there are "count" records or "for_ms" are over, or it fails; "max.poll.records" may give more than "count". */
    JsonNode poll(JsonNode command) {
        KafkaConsumer<byte[], byte[]> consumer = named(command);
        ObjectNode answer = Tool.ok();
        ArrayNode records = answer.putArray("records");
        long end = System.nanoTime() + command.path("for_ms").asLong() * 1_000_000;
        try {
            while (records.size() < command.path("count").asInt() && System.nanoTime() < end) {
                Duration left = Duration.ofNanos(Math.max(0, end - System.nanoTime()));
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(left)) records.add(Canonical.json(record));
            }
        } catch (KafkaException failure) {
            ObjectNode told = answer.putObject("failure").put("class", failure.getClass().getSimpleName()).put("message", failure.getMessage());
            if (failure instanceof LogTruncationException) {
                ObjectNode divergent = told.putObject("divergent");
                ((LogTruncationException) failure).divergentOffsets().forEach((partition, offset) -> divergent.put(partition.toString(), offset.offset()));
            }
        }
        return answer;
    }

    /** Where each partition is; waits for one that is not yet decided. */
    JsonNode positions(JsonNode command) {
        KafkaConsumer<byte[], byte[]> consumer = named(command);
        ObjectNode answer = Tool.ok();
        for (TopicPartition partition : consumer.assignment()) answer.put(Integer.toString(partition.partition()), consumer.position(partition));
        return answer;
    }

    /** The follower that each partition is read from ("replicas", -1: the leader), and bytes received by node. */
    JsonNode sources(JsonNode command) {
        ObjectNode answer = Tool.ok(), replicas = answer.putObject("replicas"), bytes = answer.putObject("bytes");
        for (Metric metric : named(command).metrics().values()) {
            Map<String, String> tags = metric.metricName().tags();
            String name = metric.metricName().name(), node = tags.getOrDefault("node-id", "");
            if (name.equals("preferred-read-replica")) replicas.put(tags.get("partition"), ((Number) metric.metricValue()).intValue());
            if (name.equals("incoming-byte-total") && node.matches("node-[0-9]+")) bytes.put(node.substring(5), ((Number) metric.metricValue()).longValue());
        }
        return answer;
    }

    JsonNode close(JsonNode command) {
        consumers.remove(command.path("consumer").asText()).close();
        return Tool.ok();
    }

    /** What a consumer says of each partition: "beginning", "end", and for each of "times" [offset, timestamp, epoch] or null. */
    static JsonNode lookups(String bootstrap, JsonNode command) {
        ObjectNode answer = Tool.ok();
        ArrayNode list = answer.putArray("partitions");
        try (KafkaConsumer<byte[], byte[]> consumer = open(bootstrap, command.path("settings"))) {
            List<TopicPartition> partitions = partitions(consumer, command.path("topic").asText());
            Map<TopicPartition, Long> beginnings = consumer.beginningOffsets(partitions), ends = consumer.endOffsets(partitions);
            for (TopicPartition partition : partitions) {
                ObjectNode item = list.addObject().put("partition", partition.partition()).put("beginning", beginnings.get(partition))
                    .put("end", ends.get(partition));
                ArrayNode times = item.putArray("times");
                for (JsonNode time : command.path("times")) {
                    OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, time.asLong())).get(partition);
                    if (found == null) times.addNull();
                    else times.addArray().add(found.offset()).add(found.timestamp()).add(found.leaderEpoch().orElse(-1));
                }
            }
        }
        return answer;
    }

    private KafkaConsumer<byte[], byte[]> named(JsonNode command) {
        return consumers.get(command.path("consumer").asText());
    }
}
