import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

/**
 * One record as bytes that every reader makes alike, and the running digest of a partition's records.
 *
 * Big-endian: partition i32, offset i64, timestamp i64, timestamp type u8 (0 created, 1 appended), key, value, number of headers i32,
 * and per header its name and value. A key, name or value is its length as i32 and its bytes; null is length -1.
 */
final class Canonical {
    private final MessageDigest digest = sha256();
    long records, appended, first = -1, last = -1;

    void add(ConsumerRecord<byte[], byte[]> record) {
        digest.update(bytes(record));
        if (records++ == 0) first = record.offset();
        last = record.offset();
        if (record.timestampType() == TimestampType.LOG_APPEND_TIME) appended++;
    }

    String digest() {
        return HexFormat.of().formatHex(digest.digest());
    }

    /** A record as a line for people: what differs is found by comparing two files of these. */
    static String line(ConsumerRecord<byte[], byte[]> record) {
        StringBuilder line = new StringBuilder().append(record.partition()).append(' ').append(record.offset()).append(' ').append(record.timestamp())
            .append(' ').append(record.timestampType() == TimestampType.LOG_APPEND_TIME ? 1 : 0)
            .append(' ').append(text(record.key())).append(' ').append(text(record.value()));
        for (Header header : record.headers()) {
            line.append(' ').append(text(header.key().getBytes(StandardCharsets.UTF_8))).append('=').append(text(header.value()));
        }
        return line.toString();
    }

    /** A record as plain data, for small ones whose keys and values are text. */
    static ObjectNode json(ConsumerRecord<byte[], byte[]> record) {
        return Tool.JSON.createObjectNode().put("partition", record.partition()).put("offset", record.offset()).put("timestamp", record.timestamp())
            .put("appended", record.timestampType() == TimestampType.LOG_APPEND_TIME).put("epoch", record.leaderEpoch().orElse(-1))
            .put("key", record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8))
            .put("value", record.value() == null ? null : new String(record.value(), StandardCharsets.UTF_8));
    }

    /** Hexadecimal digits, of long fields only the digest. */
    private static String text(byte[] field) {
        if (field == null) return "null";
        if (field.length <= 64) return "'" + HexFormat.of().formatHex(field) + "'";
        return field.length + ":" + HexFormat.of().formatHex(sha256().digest(field)).substring(0, 16);
    }

    private static byte[] bytes(ConsumerRecord<byte[], byte[]> record) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        DataOutputStream out = new DataOutputStream(bytes);
        try {
            out.writeInt(record.partition());
            out.writeLong(record.offset());
            out.writeLong(record.timestamp());
            out.writeByte(record.timestampType() == TimestampType.LOG_APPEND_TIME ? 1 : 0);
            field(out, record.key());
            field(out, record.value());
            Header[] headers = record.headers().toArray();
            out.writeInt(headers.length);
            for (Header header : headers) {
                field(out, header.key().getBytes(StandardCharsets.UTF_8));
                field(out, header.value());
            }
        } catch (IOException impossible) {
            throw new IllegalStateException(impossible);
        }
        return bytes.toByteArray();
    }

    private static void field(DataOutputStream out, byte[] field) throws IOException {
        out.writeInt(field == null ? -1 : field.length);
        if (field != null) out.write(field);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
