import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The records of the test that compares three readers, the same for the same seed: mostly small ones, a few of 100 to 900 KiB,
 * null and empty keys and values, headers with repeated names and null values, timestamps that go back and forth.
 */
final class Dataset {
    private static final String[] HEADERS = {"trace", "trace", "content-type", "größe", "", "x"};
    private static final byte[] TEXT = ("the quick brown fox jumps over the lazy dog; " + "pack my box with five dozen liquor jugs. ")
        .repeat(12_000).getBytes(StandardCharsets.UTF_8);
    private static final long START = 1_700_000_000_000L;
    private static final int KIB = 1024;

    private final SplittableRandom random;
    private final int partitions;
    private final long records, every;

    private Dataset(JsonNode command) {
        random = new SplittableRandom(command.path("seed").asLong());
        partitions = command.path("partitions").asInt();
        records = command.path("records").asLong();
        every = records / command.path("large").asLong();
    }

    /**
     * Writes the data to a topic that exists; half way its timestamps become the brokers'. "settings" are the producer's, so also the codec.
     */
    static JsonNode produce(String bootstrap, Topics topics, JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        Dataset dataset = new Dataset(command);
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (KafkaProducer<byte[], byte[]> producer = Producers.open(bootstrap, command.path("settings"))) {
            for (long number = 0; number < dataset.records && failed.get() == null; number++) {
                if (number == dataset.records / 2) {
                    producer.flush();
                    topics.setConfig(topic, Map.of("message.timestamp.type", "LogAppendTime"));
                }
                producer.send(dataset.record(topic, number), (metadata, failure) -> failed.compareAndSet(null, failure));
            }
            producer.flush();
        }
        if (failed.get() != null) throw failed.get();
        return Tool.ok().put("records", dataset.records);
    }

    private ProducerRecord<byte[], byte[]> record(String topic, long number) {
        int partition = random.nextInt(partitions);
        long timestamp = START + 3 * number + random.nextInt(-500, 500);
        byte[] key = random.nextInt(5) == 0 ? null : bytes(random.nextInt(5) == 0 ? 0 : random.nextInt(1, 33));
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, partition, timestamp, key, value(number));
        if (random.nextInt(5) < 2) {
            for (int left = random.nextInt(1, 5); left > 0; left--) {
                record.headers().add(HEADERS[random.nextInt(HEADERS.length)], random.nextInt(4) == 0 ? null : bytes(random.nextInt(20)));
            }
        }
        return record;
    }

    private byte[] value(long number) {
        if (number % every == every / 2) return bytes(random.nextInt(100 * KIB, 900 * KIB + 1));
        int kind = random.nextInt(1000);
        if (kind < 50) return null;
        if (kind < 100) return new byte[0];
        return bytes(kind < 109 ? random.nextInt(201, 2 * KIB) : random.nextInt(1, 201));
    }

    /** Half of all fields are text, which compresses, and half are noise, which does not. */
    private byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        if (random.nextBoolean()) random.nextBytes(bytes);
        else System.arraycopy(TEXT, random.nextInt(TEXT.length - length), bytes, 0, length);
        return bytes;
    }
}
