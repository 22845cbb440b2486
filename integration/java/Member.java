import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group that says on standard output what happens to it, an event a line, and obeys lines on standard input:
 * "quit", "pause" (poll no more) and "resume". It ends with its standard input. README.md lists settings and events.
 */
public final class Member implements ConsumerRebalanceListener {
    private static final Map<String, String> ASSIGNORS = Map.of("range", "RangeAssignor", "roundrobin", "RoundRobinAssignor",
        "sticky", "StickyAssignor", "cooperative-sticky", "CooperativeStickyAssignor");

    private final PrintStream out;
    private final JsonNode settings;
    private final KafkaConsumer<String, String> consumer;
    /** What was handed out and is not yet committed: the offset after the last one. */
    private final Map<TopicPartition, OffsetAndMetadata> pending = new HashMap<>();
    private volatile boolean quit, paused;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, StandardCharsets.UTF_8);
        System.setOut(System.err);      // a library that prints must not spoil the events
        Member member = new Member(out, Tool.JSON.readTree(arguments[0]));
        int status = 0;
        try {
            member.run();
        } catch (Throwable failure) {
            failure.printStackTrace();
            member.say("error").put("class", failure.getClass().getSimpleName()).put("message", String.valueOf(failure.getMessage()));
            status = 1;
        }
        member.flush();
        Runtime.getRuntime().halt(status);
    }

    private Member(PrintStream out, JsonNode settings) {
        this.out = out;
        this.settings = settings;
        consumer = new KafkaConsumer<>(properties(settings), new StringDeserializer(), new StringDeserializer());
    }

    private static Properties properties(JsonNode settings) {
        Properties properties = new Properties();
        List<String> assignors = new ArrayList<>();
        for (JsonNode name : settings.path("assignors")) assignors.add("org.apache.kafka.clients.consumer." + ASSIGNORS.get(name.asText()));
        properties.put("bootstrap.servers", settings.path("servers").asText());
        properties.put("group.id", settings.path("group").asText());
        properties.put("partition.assignment.strategy", String.join(",", assignors));
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", Boolean.toString(settings.path("commit").asText().equals("auto")));
        properties.put("auto.commit.interval.ms", settings.path("auto_commit_interval_ms").asText());
        properties.put("max.poll.records", settings.path("max_poll_records").asText());
        properties.put("max.poll.interval.ms", settings.path("max_poll_interval_ms").asText());
        properties.put("session.timeout.ms", settings.path("session_timeout_ms").asText());
        properties.put("heartbeat.interval.ms", settings.path("heartbeat_interval_ms").asText());
        properties.put("retry.backoff.ms", "50");
        properties.put("reconnect.backoff.max.ms", "200");
        if (settings.hasNonNull("instance")) properties.put("group.instance.id", settings.path("instance").asText());
        return properties;
    }

    private void run() throws InterruptedException {
        Thread commands = new Thread(this::obey, "commands");
        commands.setDaemon(true);
        commands.start();
        say("started");
        flush();
        List<String> topics = new ArrayList<>();
        for (JsonNode topic : settings.path("topics")) topics.add(topic.asText());
        consumer.subscribe(topics, this);
        Duration timeout = Duration.ofMillis(settings.path("poll_ms").asLong());
        while (!quit) {
            if (paused) {
                Thread.sleep(5);
                continue;
            }
            for (ConsumerRecord<String, String> record : consumer.poll(timeout)) {
                process(record);
                if (quit && !commits("auto")) break;    // what auto commit commits is the whole of what poll returned
            }
            if (commits("batch")) commit(pending.keySet());
        }
        commit(pending.keySet());
        say("closing");
        flush();
        consumer.close();
        say("closed");
    }

    private void process(ConsumerRecord<String, String> record) throws InterruptedException {
        say("record").put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset())
            .put("value", record.value()).put("generation", generation());
        flush();
        long work = settings.path("process_ms").asLong();
        if (work > 0) Thread.sleep(work);
        if (commits("auto") || commits("none")) return;
        TopicPartition partition = new TopicPartition(record.topic(), record.partition());
        pending.put(partition, new OffsetAndMetadata(record.offset() + 1));
        if (commits("record")) commit(List.of(partition));
    }

    /** Commits what is pending of these partitions. What cannot be committed now stays pending until it is, or is lost. */
    private void commit(Collection<TopicPartition> partitions) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(pending);
        offsets.keySet().retainAll(new HashSet<>(partitions));
        if (offsets.isEmpty()) return;
        offsets(say("committing"), offsets);
        flush();
        try {
            consumer.commitSync(offsets);
            offsets(say("committed"), offsets);
            offsets.forEach(pending::remove);
        } catch (CommitFailedException | RebalanceInProgressException failure) {
            offsets(say("commit_failed"), offsets).put("class", failure.getClass().getSimpleName());
        }
        flush();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        ObjectNode event = partitions(say("assigned"), partitions).put("generation", generation());
        if (!partitions.isEmpty()) {
            Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>(consumer.committed(new HashSet<>(partitions)));
            committed.values().removeIf(offset -> offset == null);
            offsets(event, committed);
        }
        flush();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit(partitions);
        gone("revoked", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        gone("lost", partitions);
    }

    private void gone(String how, Collection<TopicPartition> partitions) {
        partitions.forEach(pending::remove);
        partitions(say(how), partitions).put("generation", generation());
        flush();
    }

    private boolean commits(String mode) {
        return settings.path("commit").asText().equals(mode);
    }

    private int generation() {
        return consumer.groupMetadata().generationId();
    }

    private void obey() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = in.readLine()) != null; ) {
                switch (line) {
                    case "quit": quit = true; break;
                    case "pause": paused = true; break;
                    case "resume": paused = false; break;
                    default: throw new IllegalArgumentException("unknown command: " + line);
                }
            }
        } catch (Exception failure) {
            failure.printStackTrace();
        }
        Runtime.getRuntime().halt(2);       // whoever started us is gone
    }

    // Events: one is begun by say, may be added to, and goes out with the next say or flush.

    private ObjectNode event;

    private ObjectNode say(String what) {
        flush();
        event = Tool.JSON.createObjectNode().put("at", System.nanoTime()).put("event", what);
        return event;
    }

    private void flush() {
        if (event == null) return;
        out.println(event);
        out.flush();
        event = null;
    }

    private static ObjectNode partitions(ObjectNode event, Collection<TopicPartition> partitions) {
        ArrayNode list = event.putArray("partitions");
        for (TopicPartition partition : partitions) list.addArray().add(partition.topic()).add(partition.partition());
        return event;
    }

    private static ObjectNode offsets(ObjectNode event, Map<TopicPartition, OffsetAndMetadata> offsets) {
        ArrayNode list = event.putArray("offsets");
        offsets.forEach((partition, offset) -> list.addArray().add(partition.topic()).add(partition.partition()).add(offset.offset()));
        return event;
    }
}
