import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * An idempotent producer with acks=all that writes numbered records at a rate until it is stopped, and remembers which were acknowledged.
 * Record n goes to partition n % partitions and has n in decimal as its value; its key is as many random bytes as it was told, or none.
 */
final class Writer {
    private final String topic;
    private final int partitions, rate;
    private final byte[] key;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Thread thread = new Thread(this::run, "writer");
    private final List<long[]> acknowledged = new ArrayList<>();
    private final List<String> failures = new ArrayList<>();
    private volatile boolean stopped;

    Writer(String bootstrap, JsonNode command) {
        topic = command.path("topic").asText();
        partitions = command.path("partitions").asInt();
        rate = command.path("rate").asInt(1000);
        int padding = command.path("padding").asInt(0);
        key = padding == 0 ? null : new byte[padding];
        if (key != null) new Random(padding).nextBytes(key);
        // A paused leader is given up after a second, so that the records after its end come from the new leader soon.
        // One batch in flight: where a broker is slow to know a new topic, or a second is over, the first batch of a partition would be retried
        // after the second, whose sequence the broker takes as the beginning; it refuses the first from then on, until the delivery time-out.
        ObjectNode settings = Tool.JSON.createObjectNode().put("acks", "all").put("enable.idempotence", "true")
            .put("max.in.flight.requests.per.connection", "1").put("linger.ms", "5").put("request.timeout.ms", "1000").put("delivery.timeout.ms", "120000")
            .put("retry.backoff.ms", "50").put("retry.backoff.max.ms", "200").put("reconnect.backoff.max.ms", "200")
            .put("metadata.max.age.ms", "1000");
        producer = Producers.open(bootstrap, settings);
        thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    private void run() {
        long begin = System.nanoTime();
        for (long number = 0; !stopped; number++) {
            while (System.nanoTime() - begin < number * 1_000_000_000L / rate && !stopped) sleep();
            send(number);
        }
    }

    private void send(long number) {
        byte[] value = Long.toString(number).getBytes(StandardCharsets.US_ASCII);
        producer.send(new ProducerRecord<>(topic, (int) (number % partitions), key, value), (metadata, failure) -> note(number, metadata, failure));
    }

    private synchronized void note(long number, RecordMetadata metadata, Exception failure) {
        if (failure != null) failures.add(number + ": " + failure);
        else acknowledged.add(new long[] {metadata.partition(), metadata.offset(), number, System.currentTimeMillis()});
    }

    private static void sleep() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until every record is acknowledged or has failed; answers [partition, offset, number, time in ms] of each acknowledged one. */
    JsonNode stop() throws InterruptedException {
        stopped = true;
        thread.join();
        producer.close();
        return acknowledged();
    }

    synchronized JsonNode acknowledged() {
        ObjectNode answer = Tool.ok();
        ArrayNode list = answer.putArray("acknowledged"), errors = answer.putArray("failures");
        for (long[] one : acknowledged) {
            ArrayNode item = list.addArray();
            for (long field : one) item.add(field);
        }
        failures.forEach(errors::add);
        return answer;
    }
}
