import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;

/** What an administrator sees of consumer groups. */
final class Groups {
    private final Admin admin;

    Groups(Admin admin) {
        this.admin = admin;
    }

    /** The coordinator's node id, the state, the assignor that was agreed on, and the members with their partitions. */
    JsonNode describe(JsonNode command) throws Exception {
        ConsumerGroupDescription group = description(command.path("group").asText());
        ObjectNode answer = Tool.ok().put("coordinator", group.coordinator() == null ? -1 : group.coordinator().id())
            .put("state", group.groupState().toString()).put("assignor", group.partitionAssignor());
        ArrayNode members = answer.putArray("members");
        for (MemberDescription member : group.members()) {
            ArrayNode partitions = members.addObject().put("id", member.consumerId()).put("client", member.clientId())
                .put("instance", member.groupInstanceId().orElse(null)).putArray("partitions");
            for (TopicPartition partition : member.assignment().topicPartitions()) partitions.addArray().add(partition.topic()).add(partition.partition());
        }
        return answer;
    }

    /** What is committed, as [topic, partition, offset]. */
    JsonNode offsets(JsonNode command) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> found = admin.listConsumerGroupOffsets(command.path("group").asText()).partitionsToOffsetAndMetadata().get();
        Map<String, TopicPartition> sorted = new TreeMap<>();
        found.forEach((partition, offset) -> {
            if (offset != null) sorted.put(partition.topic() + String.format("-%05d", partition.partition()), partition);
        });
        ObjectNode answer = Tool.ok();
        ArrayNode list = answer.putArray("offsets");
        for (TopicPartition partition : sorted.values()) {
            list.addArray().add(partition.topic()).add(partition.partition()).add(found.get(partition).offset());
        }
        return answer;
    }

    /** Asks again when a node is silent: only the end of a call makes the admin client leave a paused node. */
    private ConsumerGroupDescription description(String group) throws Exception {
        DescribeConsumerGroupsOptions options = new DescribeConsumerGroupsOptions().timeoutMs(2000);
        for (int attempt = 1; ; attempt++) {
            try {
                return admin.describeConsumerGroups(List.of(group), options).all().get().get(group);
            } catch (ExecutionException failure) {
                if (!(failure.getCause() instanceof TimeoutException) || attempt == 10) throw failure;
            }
        }
    }
}
