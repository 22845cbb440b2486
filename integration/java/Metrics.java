import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.tools.attach.VirtualMachine;
import javax.management.InstanceNotFoundException;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** What brokers count, asked of their own metrics through the Java process that they are. */
final class Metrics {
    private Metrics() {}

    /** How many bytes of "topic" the broker with this "pid" has sent to consumers, "bytes"; what other brokers fetch does not count. */
    static JsonNode bytesOut(JsonNode command) throws Exception {
        ObjectName name = new ObjectName("kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=" + command.path("topic").asText());
        try (JMXConnector broker = connect(command.path("pid").asText())) {
            return Tool.ok().put("bytes", (Long) broker.getMBeanServerConnection().getAttribute(name, "Count"));
        } catch (InstanceNotFoundException nothingYet) {
            return Tool.ok().put("bytes", 0);
        }
    }

    /** How often clients have logged in at a "listener" of the broker with this "pid", and what became of it, since it started. */
    static JsonNode sessions(JsonNode command) throws Exception {
        ObjectName names = new ObjectName("kafka.server:type=socket-server-metrics,listener=" + command.path("listener").asText() + ",networkProcessor=*");
        ObjectNode answer = Tool.ok();
        try (JMXConnector broker = connect(command.path("pid").asText())) {
            MBeanServerConnection server = broker.getMBeanServerConnection();
            for (String attribute : new String[] {"successful-authentication-total", "successful-reauthentication-total", "failed-authentication-total", "failed-reauthentication-total", "expired-connections-killed-count"}) {
                double sum = 0;
                for (ObjectName name : server.queryNames(names, null)) sum += ((Number) server.getAttribute(name, attribute)).doubleValue();
                answer.put(attribute, (long) sum);
            }
            return answer;
        }
    }

    private static JMXConnector connect(String pid) throws Exception {
        VirtualMachine machine = VirtualMachine.attach(pid);
        try {
            return JMXConnectorFactory.connect(new JMXServiceURL(machine.startLocalManagementAgent()));
        } finally {
            machine.detach();
        }
    }
}
