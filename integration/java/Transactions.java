import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * Transactional producers that do what a script says, step by step, so that their batches lie in the log in just that order.
 *
 * A producer lives until it is dropped, over several commands, so a transaction can be left open.
 */
final class Transactions {
    private final String bootstrap;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    Transactions(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    /**
     * Each of "steps" is ["begin", producer], ["send", producer, record], ["flush", producer], ["commit", producer], ["abort", producer],
     * ["drop", producer], which leaves its transaction open, or ["sleep", milliseconds]. The producer "" has no transactions. What one sends
     * without another step between is one batch a partition. "settings" are those of producers that these steps open.
     * Answers [partition, offset] of each record.
     */
    JsonNode play(JsonNode command) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        KafkaProducer<byte[], byte[]> full = null;
        for (JsonNode step : command.path("steps")) {
            String verb = step.path(0).asText();
            KafkaProducer<byte[], byte[]> producer = verb.equals("sleep") ? null : producer(step.path(1).asText(), command.path("settings"));
            if (full != null && (full != producer || !verb.equals("send"))) full.flush();
            if (verb.equals("send")) sent.add(producer.send(Producers.record(command.path("topic").asText(), step.path(2))));
            else act(verb, producer, step.path(1));
            full = verb.equals("send") ? producer : null;
        }
        if (full != null) full.flush();
        ObjectNode answer = Tool.ok();
        ArrayNode offsets = answer.putArray("offsets");
        for (Future<RecordMetadata> one : sent) offsets.addArray().add(one.get().partition()).add(one.get().offset());
        return answer;
    }

    private void act(String verb, KafkaProducer<byte[], byte[]> producer, JsonNode argument) throws Exception {
        switch (verb) {
            case "begin": producer.beginTransaction(); break;
            case "flush": producer.flush(); break;
            case "commit": producer.commitTransaction(); break;
            case "abort": producer.abortTransaction(); break;
            case "drop": producers.remove(argument.asText()).close(Duration.ZERO); break;
            case "sleep": Thread.sleep(argument.asLong()); break;
            default: throw new IllegalArgumentException("unknown step: " + verb);
        }
    }

    private KafkaProducer<byte[], byte[]> producer(String name, JsonNode settings) {
        return producers.computeIfAbsent(name, fresh -> open(fresh, settings));
    }

    private KafkaProducer<byte[], byte[]> open(String name, JsonNode settings) {
        ObjectNode all = Tool.JSON.createObjectNode().put("linger.ms", "60000").put("batch.size", "1000000");
        settings.fields().forEachRemaining(entry -> all.set(entry.getKey(), entry.getValue()));
        if (!name.isEmpty()) all.put("transactional.id", name);
        KafkaProducer<byte[], byte[]> producer = Producers.open(bootstrap, all);
        if (!name.isEmpty()) producer.initTransactions();
        return producer;
    }
}
