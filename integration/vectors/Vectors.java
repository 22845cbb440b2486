// Writes messages as kafka-clients does: lines `name version json` on standard input become `name version hex`.
// Started by vectors.py.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class Vectors {
    public static void main(String[] arguments) throws Exception {
        var mapper = new ObjectMapper();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            var parts = line.split(" ", 3);
            var version = Short.parseShort(parts[1]);
            var message = read(parts[0].split(":")[0], mapper.readTree(parts[2]), version);
            System.out.println(parts[0] + " " + version + " " + HexFormat.of().formatHex(write(message, version)));
        }
    }

    static Message read(String name, JsonNode json, short version) throws Exception {
        // Requests and responses are in classes ...Data; what stands inside other messages is not.
        var data = name.endsWith("Request") || name.endsWith("Response") ? name + "Data" : name;
        var converter = Class.forName("org.apache.kafka.common.message." + data + "JsonConverter");
        return (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, json, version);
    }

    static byte[] write(Message message, short version) {
        var cache = new ObjectSerializationCache();
        var out = ByteBuffer.allocate(message.size(cache, version));
        var writable = new ByteBufferAccessor(out);
        message.write(writable, cache, version);
        out.flip();
        var bytes = new byte[out.remaining()];
        out.get(bytes);
        return bytes;
    }
}
