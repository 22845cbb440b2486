import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.LeaderNotAvailableException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What an administrator does to topics, and what one sees of them. */
final class Topics {
    private final Admin admin;

    Topics(Admin admin) {
        this.admin = admin;
    }

    /**
     * Opens a connection to every node. An admin client that only has one to a node that is then paused reconnects to just that one,
     * again and again, because a connection in the making counts more than a node never tried.
     */
    JsonNode connectToAllNodes() throws Exception {
        List<Integer> nodes = new ArrayList<>();
        for (Node node : admin.describeCluster().nodes().get()) nodes.add(node.id());
        admin.describeLogDirs(nodes).allDescriptions().get();
        return Tool.ok();
    }

    JsonNode create(JsonNode command) throws Exception {
        String name = command.path("topic").asText();
        NewTopic topic = new NewTopic(name, Optional.of(command.path("partitions").asInt(1)),
            Optional.of((short) command.path("replication").asInt(1)));
        if (command.has("assignment")) {
            Map<Integer, List<Integer>> assignment = new HashMap<>();
            for (JsonNode replicas : command.path("assignment")) assignment.put(assignment.size(), ints(replicas));
            topic = new NewTopic(name, assignment);
        }
        topic.configs(strings(command.path("configs")));
        admin.createTopics(List.of(topic)).all().get();
        awaitLeaders(name);
        return Tool.ok();
    }

    /** A topic is there at once, but its leaders only soon. */
    private void awaitLeaders(String name) throws Exception {
        for (int attempt = 0; attempt < 200; attempt++) {
            try {
                if (admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().stream()
                        .allMatch(partition -> partition.leader() != null)) {
                    admin.listOffsets(Map.of(new TopicPartition(name, 0), OffsetSpec.latest())).all().get();
                    return;
                }
            } catch (ExecutionException failure) {
                Throwable cause = failure.getCause();
                if (!(cause instanceof UnknownTopicOrPartitionException) && !(cause instanceof LeaderNotAvailableException)) throw failure;
            }
            Thread.sleep(25);
        }
        throw new IllegalStateException(name + " has no leaders");
    }

    JsonNode delete(JsonNode command) throws Exception {
        admin.deleteTopics(List.of(command.path("topic").asText())).all().get();
        return Tool.ok();
    }

    JsonNode alterConfig(JsonNode command) throws Exception {
        setConfig(command.path("topic").asText(), strings(command.path("configs")));
        return Tool.ok();
    }

    void setConfig(String topic, Map<String, String> configs) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        List<AlterConfigOp> changes = new ArrayList<>();
        configs.forEach((name, value) -> changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    }

    JsonNode addPartitions(JsonNode command) throws Exception {
        admin.createPartitions(Map.of(command.path("topic").asText(), NewPartitions.increaseTo(command.path("partitions").asInt()))).all().get();
        return Tool.ok();
    }

    /** The leader (-1: none), replicas and replicas in sync of each partition. */
    JsonNode describe(JsonNode command) throws Exception {
        ObjectNode answer = Tool.ok();
        ArrayNode partitions = answer.putArray("partitions");
        for (TopicPartitionInfo partition : description(command.path("topic").asText()).partitions()) {
            ObjectNode item = partitions.addObject().put("partition", partition.partition())
                .put("leader", partition.leader() == null ? -1 : partition.leader().id());
            ArrayNode replicas = item.putArray("replicas"), inSync = item.putArray("isr");
            for (Node node : partition.replicas()) replicas.add(node.id());
            for (Node node : partition.isr()) inSync.add(node.id());
        }
        return answer;
    }

    /** Asks again when a node is silent: only the end of a call makes the admin client leave a paused node. */
    private TopicDescription description(String topic) throws Exception {
        DescribeTopicsOptions options = new DescribeTopicsOptions().timeoutMs(400);
        for (int attempt = 1; ; attempt++) {
            try {
                return admin.describeTopics(List.of(topic), options).allTopicNames().get().get(topic);
            } catch (ExecutionException failure) {
                if (!(failure.getCause() instanceof TimeoutException) || attempt == 50) throw failure;
            }
        }
    }

    /** The first offset, the end and the leader's epoch of each partition. */
    JsonNode offsets(JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        Map<TopicPartition, OffsetSpec> earliest = new HashMap<>(), latest = new HashMap<>();
        for (TopicPartitionInfo partition : description(topic).partitions()) {
            TopicPartition key = new TopicPartition(topic, partition.partition());
            earliest.put(key, OffsetSpec.earliest());
            latest.put(key, OffsetSpec.latest());
        }
        Map<TopicPartition, ListOffsetsResultInfo> starts = admin.listOffsets(earliest).all().get(), ends = admin.listOffsets(latest).all().get();
        ObjectNode answer = Tool.ok();
        ArrayNode partitions = answer.putArray("partitions");
        for (int partition = 0; partition < ends.size(); partition++) {
            TopicPartition key = new TopicPartition(topic, partition);
            partitions.addObject().put("partition", partition).put("start", starts.get(key).offset())
                .put("end", ends.get(key).offset()).put("epoch", ends.get(key).leaderEpoch().orElse(-1));
        }
        return answer;
    }

    JsonNode deleteRecords(JsonNode command) throws Exception {
        TopicPartition partition = new TopicPartition(command.path("topic").asText(), command.path("partition").asInt());
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(command.path("before").asLong()))).all().get();
        return Tool.ok();
    }

    /** Makes "to" the leader of a partition: first among the replicas, then elected as the preferred one. */
    JsonNode moveLeader(JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        TopicPartition partition = new TopicPartition(topic, command.path("partition").asInt());
        int to = command.path("to").asInt();
        List<Integer> replicas = new ArrayList<>(List.of(to));
        for (Node node : description(topic).partitions().get(partition.partition()).replicas()) {
            if (node.id() != to) replicas.add(node.id());
        }
        admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(replicas)))).all().get();
        for (int attempt = 0; attempt < 200; attempt++) {
            TopicPartitionInfo now = description(topic).partitions().get(partition.partition());
            if (now.leader() != null && now.leader().id() == to) return Tool.ok();
            if (admin.listPartitionReassignments(Set.of(partition)).reassignments().get().isEmpty()) elect(partition);
            Thread.sleep(50);
        }
        throw new IllegalStateException(to + " did not become the leader of " + partition);
    }

    private void elect(TopicPartition partition) throws Exception {
        try {
            admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).all().get();
        } catch (ExecutionException failure) {
            if (!(failure.getCause() instanceof ElectionNotNeededException)) throw failure;
        }
    }

    private static List<Integer> ints(JsonNode array) {
        List<Integer> numbers = new ArrayList<>();
        for (JsonNode number : array) numbers.add(number.asInt());
        return numbers;
    }

    private static Map<String, String> strings(JsonNode object) {
        Map<String, String> map = new HashMap<>();
        object.fields().forEachRemaining(entry -> map.put(entry.getKey(), entry.getValue().asText()));
        return map;
    }
}
