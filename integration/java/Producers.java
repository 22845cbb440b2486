import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers of bytes, and the command that writes records which the caller spells out. */
final class Producers {
    private Producers() {}

    static KafkaProducer<byte[], byte[]> open(String bootstrap, JsonNode settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        settings.fields().forEachRemaining(entry -> properties.put(entry.getKey(), entry.getValue().asText()));
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /**
     * Writes "records", objects with "key", "value", "partition", "timestamp" and "headers" (a list of [name, value]), all optional;
     * texts are UTF-8, null is null. Answers [partition, offset] of each.
     */
    static JsonNode records(String bootstrap, JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = open(bootstrap, command.path("settings"))) {
            for (JsonNode record : command.path("records")) sent.add(producer.send(record(topic, record)));
        }
        ObjectNode answer = Tool.ok();
        ArrayNode offsets = answer.putArray("offsets");
        for (Future<RecordMetadata> one : sent) offsets.addArray().add(one.get().partition()).add(one.get().offset());
        return answer;
    }

    /** Writes as many "records" without a key as are asked for, with random letters of "size" bytes, as fast as it can. */
    static JsonNode fill(String bootstrap, JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        Random random = new Random(1);
        byte[] value = new byte[command.path("size").asInt()];
        try (KafkaProducer<byte[], byte[]> producer = open(bootstrap, command.path("settings"))) {
            for (long n = command.path("records").asLong(); n > 0; n--) {
                for (int i = 0; i < value.length; i++) value[i] = (byte) ('A' + random.nextInt(26));
                producer.send(new ProducerRecord<>(topic, value.clone()));
            }
        }
        return Tool.ok();
    }

    static ProducerRecord<byte[], byte[]> record(String topic, JsonNode record) {
        ProducerRecord<byte[], byte[]> made = new ProducerRecord<>(topic,
            record.hasNonNull("partition") ? record.get("partition").asInt() : null,
            record.hasNonNull("timestamp") ? record.get("timestamp").asLong() : null,
            bytes(record.path("key")), bytes(record.path("value")));
        for (JsonNode header : record.path("headers")) made.headers().add(header.path(0).asText(), bytes(header.path(1)));
        return made;
    }

    private static byte[] bytes(JsonNode text) {
        return text.isNull() || text.isMissingNode() ? null : text.asText().getBytes(StandardCharsets.UTF_8);
    }
}
