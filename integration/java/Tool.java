import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;

/**
 * Kafka's own clients as one long-lived process: a JSON command per line in, a JSON answer per line out.
 *
 * Every command names the brokers as "bootstrap" and what to do as "do"; README.md lists the commands. The process
 * ends with its standard input.
 */
public final class Tool {
    static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, Admin> admins = new HashMap<>();
    private final Map<String, Writer> writers = new HashMap<>();
    private final Map<String, Transactions> transactions = new HashMap<>();
    private final Consumers consumers = new Consumers();

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, StandardCharsets.UTF_8);
        System.setOut(System.err);      // a library that prints must not spoil the answers
        Tool tool = new Tool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            out.println(JSON.writeValueAsString(tool.answer(line)));
            out.flush();
        }
        Runtime.getRuntime().halt(0);   // producers that still retry against dead brokers would hold us back
    }

    private JsonNode answer(String line) {
        try {
            return obey(JSON.readTree(line));
        } catch (Exception failure) {
            failure.printStackTrace();
            Throwable cause = failure instanceof java.util.concurrent.ExecutionException ? failure.getCause() : failure;
            return JSON.createObjectNode().put("error", cause.toString());
        }
    }

    private JsonNode obey(JsonNode command) throws Exception {
        String bootstrap = command.path("bootstrap").asText();
        Topics topics = new Topics(admin(bootstrap));
        switch (command.path("do").asText()) {
            case "create-topic": return topics.create(command);
            case "delete-topic": return topics.delete(command);
            case "alter-config": return topics.alterConfig(command);
            case "add-partitions": return topics.addPartitions(command);
            case "describe": return topics.describe(command);
            case "connect": return topics.connectToAllNodes();
            case "offsets": return topics.offsets(command);
            case "delete-records": return topics.deleteRecords(command);
            case "move-leader": return topics.moveLeader(command);
            case "describe-group": return new Groups(admin(bootstrap)).describe(command);
            case "group-offsets": return new Groups(admin(bootstrap)).offsets(command);
            case "rights": return new Security(admin(bootstrap)).rights(command);
            case "password": return new Security(admin(bootstrap)).password(command);
            case "produce": return Producers.records(bootstrap, command);
            case "fill": return Producers.fill(bootstrap, command);
            case "produce-dataset": return Dataset.produce(bootstrap, topics, command);
            case "read": return Reader.read(bootstrap, command);
            case "transactions": return transactions.computeIfAbsent(bootstrap, Transactions::new).play(command);
            case "lookups": return Consumers.lookups(bootstrap, command);
            case "consumer-assign": return consumers.assign(bootstrap, command);
            case "consumer-poll": return consumers.poll(command);
            case "consumer-seek": return consumers.seek(command);
            case "consumer-positions": return consumers.positions(command);
            case "consumer-sources": return consumers.sources(command);
            case "consumer-close": return consumers.close(command);
            case "bytes-out": return Metrics.bytesOut(command);
            case "sessions": return Metrics.sessions(command);
            case "start-writer": return start(bootstrap, command);
            case "stop-writer": return writers.remove(command.path("topic").asText()).stop();
            case "acknowledged": return writers.get(command.path("topic").asText()).acknowledged();
            default: throw new IllegalArgumentException("unknown command: " + command);
        }
    }

    private JsonNode start(String bootstrap, JsonNode command) {
        Writer writer = new Writer(bootstrap, command);
        writers.put(command.path("topic").asText(), writer);
        writer.start();
        return ok();
    }

    private Admin admin(String bootstrap) {
        return admins.computeIfAbsent(bootstrap, Tool::newAdmin);
    }

    private static Admin newAdmin(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("request.timeout.ms", "5000");
        settings.put("default.api.timeout.ms", "15000");
        settings.put("retry.backoff.ms", "20");
        settings.put("retry.backoff.max.ms", "100");
        settings.put("reconnect.backoff.max.ms", "200");
        return Admin.create(settings);
    }

    static ObjectNode ok() {
        return JSON.createObjectNode();
    }
}
